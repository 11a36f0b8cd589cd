//! Any bytes are a log: the whole second half of the pipeline, with a small memory, loses no line and no connection.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::analysis::{Analysis, Filter};
use sshwhy_core::detect::Detectors;
use sshwhy_core::line::Years;
use sshwhy_core::names::Limits;
use sshwhy_core::render::{json, terminal};
use sshwhy_core::scan::{Scanned, Scanner};
use sshwhy_core::time::Zone;

fuzz_target!(|data: &[u8]| {
    let zone = Zone::utc();
    let limits = Limits {
        addrs: 4,
        users: 4,
        hosts: 2,
    };
    let mut analysis = Analysis::new(
        zone.clone(),
        Filter::default(),
        limits,
        Detectors::default(),
    );
    let file = analysis.file("fuzz");
    let (mut scanner, mut scanned) = (Scanner::default(), Scanned::default());
    scanner.scan(data, Years::starting(2026), &zone, &mut scanned);
    assert!(scanned.records.len() as u64 + scanned.other == scanned.lines);
    analysis.fold(data, &scanned, file, 1, None);
    let report = analysis.finish(Vec::new(), Vec::new());
    assert_eq!(report.input.lines, scanned.lines);
    let text = terminal::report(&report, &terminal::TextOptions::new(&zone));
    assert!(!text.contains('\u{1b}'));
    let _ = json::report(&report, false);
});
