//! Any bytes are a target's log: what was done on the host is collected beside the logins and laid to their sources.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::analysis::{Analysis, Filter};
use sshwhy_core::detect::Detectors;
use sshwhy_core::line::Years;
use sshwhy_core::names::Limits;
use sshwhy_core::scan::{Scanned, Scanner};
use sshwhy_core::time::Zone;
use sshwhy_core::trace::deeds::right_after;

fuzz_target!(|data: &[u8]| {
    let zone = Zone::utc();
    let mut analysis = Analysis::new(
        zone.clone(),
        Filter::default(),
        Limits::default(),
        Detectors::off(),
    );
    analysis.keep_acts();
    let file = analysis.file("fuzz");
    let (mut scanner, mut scanned) = (Scanner::for_deeds(true), Scanned::default());
    scanner.scan(data, Years::starting(2026), &zone, &mut scanned);
    assert!(scanned.records.len() as u64 + scanned.other == scanned.lines);
    assert!(scanned.deeds.len() as u64 <= scanned.other);
    analysis.fold(data, &scanned, file, 1, None);
    let (sources, _) = analysis.take_sources();
    let deeds = analysis.take_deeds();
    for source in &sources {
        for after in right_after(source, &sources, &deeds, None) {
            assert!(after.since >= 0 && after.deed.line.line <= scanned.lines);
            let _ = after.deed.said();
        }
    }
});
