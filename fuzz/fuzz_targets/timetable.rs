//! Any text is a crontab's line or a timer's: never a panic, never for long, and shares stay shares.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::time::{SECOND, Zone};
use sshwhy_core::trace::timetable::Timetable;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let events: Vec<i64> = (0..40i64)
        .map(|i| (1_680_019_200 + i * 21_600 + i % 7) * SECOND)
        .collect();
    for line in text.lines().take(20) {
        let crontab = Timetable::of_crontab(line).map(|(table, _)| table);
        for table in crontab.into_iter().chain(Timetable::of_timer(line)) {
            if let Some(kept) = table.kept(&events, &Zone::fixed("+08:00", 28_800)) {
                assert!((0.0..=1.0).contains(&kept.logins) && (0.0..=1.0).contains(&kept.firings));
                assert!(kept.rare >= 0.0 && kept.met.len() <= events.len());
            }
        }
    }
});
