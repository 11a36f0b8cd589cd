//! The functions of the fuzz targets over seeds that were bent at random, always in the same way: a short run of what
//! `cargo fuzz` does for hours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

mod exercise;

use std::fs;
use std::path::Path;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// Bytes changed, cut, doubled, moved, or put in from another seed.
fn bend(d: &mut Dice, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = seed.to_vec();
    for _ in 0..=d.roll(4) {
        let (a, b) = (d.roll(out.len() + 1), d.roll(out.len() + 1));
        let (a, b) = (a.min(b), a.max(b));
        match d.roll(6) {
            0 if !out.is_empty() => {
                let at = d.roll(out.len());
                out[at] = [
                    b' ', b'\n', b'"', b'\\', 0, 0xff, b'=', b'{', b'$', b'*', b'<', b'9',
                ][d.roll(12)];
            }
            1 => drop(out.drain(a..b)),
            2 => {
                let part = out[a..b].to_vec();
                let at = d.roll(out.len() + 1);
                out.splice(at..at, part);
            }
            3 => {
                let (x, y) = (d.roll(other.len() + 1), d.roll(other.len() + 1));
                let part = other[x.min(y)..x.max(y)].to_vec();
                out.splice(a..b, part);
            }
            4 => out.truncate(b),
            _ => out
                .splice(a..a, (0..d.roll(40)).map(|i| b"0123456789 \n"[i % 12]))
                .for_each(drop),
        }
        out.truncate(64 << 10);
    }
    out
}

fn drive(name: &str, exercise: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let mut seeds: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    seeds.sort();
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|p| fs::read(p).unwrap()).collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    let mut d = Dice(0x9e37_79b9_7f4a_7c15);
    for seed in &seeds {
        exercise(seed);
    }
    for _ in 0..2000 {
        let (a, b) = (d.roll(seeds.len()), d.roll(seeds.len()));
        exercise(&bend(&mut d, &seeds[a], &seeds[b]));
    }
}

macro_rules! driven {
    ($($name:ident)*) => {
        $(#[test] fn $name() { drive(stringify!($name), exercise::$name); })*
    };
}

driven!(sshd_config authorized_keys pam hosts_allow nft iptables dockerfile relay);
