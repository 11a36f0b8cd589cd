//! `explain`: what does this message mean?

use crate::cli::Explain as Args;
use crate::exit::Exit;

pub fn run(_args: Args) -> Result<Exit, String> {
    Err("explain is not built yet".to_owned())
}
