//! The views against golden files (`BLESS=1` rewrites them), and what must hold whatever a log says.
// The lints against them make an exception for test functions only, not for what those share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use sshwhy_core::render::terminal::{self, TextOptions};
use sshwhy_core::render::{escape, html, json, layout};
use sshwhy_core::report::Report;
use std::path::Path;

fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/render")
        .join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected != actual {
        let line = expected
            .lines()
            .zip(actual.lines())
            .take_while(|(a, b)| a == b)
            .count();
        panic!(
            "{name} differs at line {}:\n  expected {:?}\n  actual   {:?}\nBLESS=1 rewrites it",
            line + 1,
            expected.lines().nth(line),
            actual.lines().nth(line)
        );
    }
}

fn text(r: &Report, width: usize, colour: bool, limit: usize) -> String {
    let zone = fixture::zone();
    terminal::report(
        r,
        &TextOptions {
            width,
            colour,
            limit,
            ..TextOptions::new(&zone)
        },
    )
}

/// Without SGR sequences.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        let (parameters, after) = after.split_once('m').expect("an SGR sequence ends in m");
        assert!(
            parameters.bytes().all(|b| b.is_ascii_digit() || b == b';'),
            "{parameters:?}"
        );
        rest = after;
    }
    out + rest
}

#[test]
fn text_at_each_width() {
    let busy = fixture::busy(40);
    golden("busy-60.txt", &text(&busy, 60, false, 10));
    golden("busy-80.txt", &text(&busy, 80, false, 10));
    golden("busy-120.txt", &text(&busy, 120, false, 10));
    golden("quiet-80.txt", &text(&fixture::quiet(), 80, false, 10));
    golden("hostile-80.txt", &text(&fixture::hostile(), 80, false, 10));
    golden("empty-80.txt", &text(&Report::default(), 80, false, 10));
}

#[test]
fn text_in_colour() {
    golden(
        "busy-100-colour.txt",
        &text(&fixture::busy(40), 100, true, 10),
    );
}

#[test]
fn colour_changes_nothing_but_colour() {
    for r in [
        fixture::busy(40),
        fixture::quiet(),
        fixture::hostile(),
        Report::default(),
    ] {
        for width in [60, 80, 120] {
            assert_eq!(
                plain(&text(&r, width, true, 10)),
                text(&r, width, false, 10)
            );
        }
    }
}

#[test]
fn text_holds_no_control_character_and_fits() {
    for r in [fixture::busy(400), fixture::hostile()] {
        for width in [40, 60, 80, 120, 300] {
            for limit in [0, 1, 10, usize::MAX] {
                let out = text(&r, width, false, limit);
                for line in out.lines() {
                    assert!(!line.chars().any(escape::is_hidden), "{line:?}");
                    // Commands are copied, so they are never wrapped.
                    let copied = line.trim_start().starts_with("$ ")
                        || line.trim_start().starts_with("undo: ");
                    let cells = layout::width(line);
                    assert!(copied || cells <= width, "{cells} > {width}: {line:?}");
                }
            }
        }
    }
}

#[test]
fn four_hundred_attackers_leave_the_break_in_on_the_first_screen() {
    let mut r = fixture::busy(400);
    let out = text(&r, 80, false, 10);
    let at = out.lines().position(|l| l.starts_with("CRITICAL")).unwrap();
    assert!(at < 12, "line {at}");
    assert!(
        out.lines()
            .any(|l| l.starts_with("MEDIUM") && l.contains("locked out"))
    );
    assert!(out.contains("390 more of them: --all"));
    assert!(out.lines().count() < 160, "{} lines", out.lines().count());
    // The same when detectors call each of them high.
    for f in &mut r.findings {
        if f.slug == "brute-force" {
            f.severity = sshwhy_core::finding::Severity::High;
        }
    }
    let out = text(&r, 80, false, 10);
    assert!(out.contains("brute force: 397 more"));
    assert!(out.lines().count() < 190, "{} lines", out.lines().count());
}

#[test]
fn all_shows_all() {
    let r = fixture::busy(400);
    let out = text(&r, 80, false, usize::MAX);
    assert!(!out.contains("--all"));
    for f in &r.findings {
        assert!(f.evidence.iter().all(|e| out.contains(&e.source)));
    }
    assert_eq!(out.matches("SW1001 brute-force").count(), 400);
}

#[test]
fn what_could_not_be_read_is_said_at_the_top_and_named_below() {
    let out = text(&fixture::busy(2), 80, false, 10);
    let top: Vec<&str> = out.lines().take(8).collect();
    assert!(
        top.iter().any(|l| l.contains("1 source was not read")),
        "{top:?}"
    );
    assert!(
        out.contains("/var/log/auth.log.3.gz: gzip data ends in the middle (read 1,203 lines)")
    );
}

#[test]
fn json_is_safe_to_print_and_loses_nothing() {
    let r = fixture::hostile();
    for pretty in [false, true] {
        let out = json::report(&r, pretty);
        assert!(!out.chars().any(|c| escape::is_hidden(c) && c != '\n'));
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value, serde_json::to_value(&r).unwrap());
        let found = json::findings_only(&r.findings, pretty);
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["findings"], value["findings"]);
    }
    golden("quiet.json", &json::report(&fixture::quiet(), true));
}

fn page(r: &Report) -> String {
    html::report(r, &fixture::zone())
}

/// The tags of a page in order, each opened one closed; panics where the markup is not well formed.
fn tags(page: &str) -> Vec<String> {
    const VOID: [&str; 4] = ["meta", "link", "br", "!doctype"];
    let mut open: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(
            !text.contains('>') || open.last().is_some_and(|t| t == "style"),
            "a bare > in {text:?}"
        );
        let tag = &rest[at + 1..];
        // Attributes are double-quoted, and a quoted > or < would have been escaped.
        let end = tag.find('>').expect("a tag ends");
        let (tag, after) = (&tag[..end], &tag[end + 1..]);
        assert!(!tag.contains('<'), "{tag:?}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag:?}");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed out of order");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
        seen.push(tag.to_owned());
        if !VOID.contains(&name.as_str()) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    seen
}

#[test]
fn pages() {
    golden("busy.html", &page(&fixture::busy(40)));
    golden("quiet.html", &page(&fixture::quiet()));
    golden("hostile.html", &page(&fixture::hostile()));
    golden("empty.html", &page(&Report::default()));
}

#[test]
fn pages_are_well_formed_and_load_nothing() {
    for r in [
        fixture::busy(400),
        fixture::quiet(),
        fixture::hostile(),
        Report::default(),
    ] {
        let page = page(&r);
        let tags = tags(&page);
        let allowed = "!doctype html head meta link title style body header p h1 h2 h3 span br ul ol li b nav a main \
            section details summary div dl dt dd code pre bdi time strong small table thead tbody tr th td svg desc g \
            rect figure figcaption footer";
        let mut ids = std::collections::BTreeSet::new();
        for tag in &tags {
            let name = tag.split([' ', '/']).next().unwrap_or_default();
            assert!(allowed.split_whitespace().any(|a| a == name), "<{tag}>");
            for attribute in tag.split('"').step_by(2).flat_map(str::split_whitespace) {
                assert!(
                    !attribute.starts_with("on") && attribute != "src=",
                    "<{tag}>"
                );
                if attribute == "href=" {
                    assert!(
                        tag.contains("href=\"#") || tag.contains("href=\"data:,\""),
                        "<{tag}>"
                    );
                }
            }
            if let Some((_, id)) = tag.split_once(" id=\"") {
                let id = id.split('"').next().unwrap_or_default().to_owned();
                assert!(ids.insert(id.clone()), "{id} twice");
            }
        }
        for tag in tags.iter().filter_map(|t| t.strip_prefix("a href=\"#")) {
            assert!(ids.contains(tag.trim_end_matches('"')), "no {tag}");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(!page.contains("url(") && !page.contains("@import"));
        assert!(!page.to_lowercase().contains("<script"));
        assert!(!page.chars().any(|c| c != '\n' && escape::is_hidden(c)));
    }
}

#[test]
fn a_page_of_a_flood_stays_small_and_says_what_it_left_out() {
    let mut r = fixture::busy(5_000);
    let (finding, login) = (r.findings[0].clone(), r.logins[0].clone());
    let evidence = finding.evidence[0].clone();
    r.findings[0].evidence = vec![evidence; 10_000];
    r.findings[0].subjects.addrs = vec!["192.0.2.1".to_owned(); 10_000];
    r.findings[0].evidence[0].text = "x".repeat(1_000_000);
    r.logins = vec![login; 10_000];
    let page = page(&r);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    for cut in [
        "4,800 findings more",
        "4,501 addresses more",
        "9,500 logins more",
        "9,900 lines more",
        "998,000 characters more",
    ] {
        assert!(page.contains(cut), "{cut}");
    }
}

#[test]
fn the_page_names_everything_the_text_names() {
    let r = fixture::busy(40);
    let page = page(&r);
    for f in &r.findings {
        assert!(page.contains(&*escape::html(&f.subjects.addrs[0])));
    }
    assert!(page.contains("gzip data ends in the middle"));
    assert!(page.contains("class=\"top critical\""));
    assert!(page.contains("<strong>1 source was not read"));
}
