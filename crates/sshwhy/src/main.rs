//! sshwhy: says why.
fn main() {}
