//! The views: what was judged elsewhere, shown. A view chooses form and amount, never changes a verdict.
//!
//! `terminal`, `json` and `html` are one view each; all text passes through `escape` on its way out, whoever wrote it.

pub mod arrange;
pub mod config;
pub mod escape;
pub mod events;
pub mod explain;
pub mod html;
pub mod json;
pub mod layout;
mod markup;
pub mod probe;
pub mod simulation;
mod svg;
pub mod terminal;
pub mod trace;
pub mod words;
