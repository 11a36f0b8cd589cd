//! sshwhy: says why.
#[allow(dead_code, unused_imports)] // until the verbs are wired
mod source;

fn main() {}
