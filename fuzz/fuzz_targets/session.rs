//! Any bytes are a log: the whole second half of the pipeline, with a small memory, loses no line and no connection, and
//! says the same whether connections are joined in the blocks or line by line.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::analysis::{Analysis, Filter};
use sshwhy_core::detect::Detectors;
use sshwhy_core::line::Years;
use sshwhy_core::names::Limits;
use sshwhy_core::render::{json, terminal};
use sshwhy_core::report::Report;
use sshwhy_core::scan::{Scanned, Scanner};
use sshwhy_core::time::Zone;

fuzz_target!(|data: &[u8]| {
    let zone = Zone::utc();
    let report = read(data, &zone, false);
    let joined = read(data, &zone, true);
    assert_eq!(format!("{report:?}"), format!("{joined:?}"));
    let text = terminal::report(&report, &terminal::TextOptions::new(&zone));
    assert!(!text.contains('\u{1b}'));
    let _ = json::report(&report, false);
});

/// The report of a log that says the same in three years, one after the other: what was new in the first is known in the next.
fn read(data: &[u8], zone: &Zone, join: bool) -> Report {
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
    let mut scanned = Scanned::default();
    let mut scanner = Scanner::default();
    if join {
        scanner = scanner.joining();
    }
    let mut lines = 0;
    for year in 2024..2027 {
        scanner.scan(data, Years::starting(year), zone, &mut scanned);
        assert!(scanned.records.len() as u64 + scanned.other == scanned.lines);
        analysis.fold(data, &scanned, file, lines + 1, None);
        lines += scanned.lines;
    }
    let report = analysis.finish(Vec::new(), Vec::new());
    assert_eq!(report.input.lines, lines);
    report
}
