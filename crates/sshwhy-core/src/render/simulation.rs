//! A simulated load as a picture: slots taken and connections turned away over time, and the chance of being turned away by the
//! slots taken, over how often so many were taken. A self-contained SVG that follows light and dark.

use super::markup::Markup;
use super::words::percent;
use crate::config::simulate::MaxStartups;
use crate::config::simulate::run::Outcome;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 70.0;
const PLOT: f64 = WIDTH - LEFT - 70.0;

const STYLE: &str = "<style>\
svg{background:#fff;color:#1b1f24;font:13px system-ui,sans-serif}\
text{fill:currentColor}.h{font-size:17px;font-weight:600}.s{fill:#57606a}\
.taken{fill:#4c8bd6}.refused{fill:#d1493f}.time{fill:#b9c6d6}\
.axis{stroke:#8c959f;stroke-width:1}.limit{stroke:#8250df;stroke-width:1.5;stroke-dasharray:6 4}\
.chance{fill:none;stroke:#d1493f;stroke-width:2}\
@media(prefers-color-scheme:dark){svg{background:#0d1117;color:#e6edf3}.s{fill:#9ba7b4}\
.taken{fill:#5b9bf0}.refused{fill:#f0665c}.time{fill:#33415a}.limit{stroke:#b794f6}.chance{stroke:#f0665c}}\
</style>";

/// A number of seconds as people say it.
pub fn seconds(s: f64) -> String {
    match s {
        s if s < 0.005 => "0 s".to_owned(),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 600.0 => format!("{s:.0} s"),
        s if s < 36_000.0 => format!("{:.0} min", s / 60.0),
        s if s < 864_000.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

fn label(m: &mut Markup, class: &'static str, anchor: &'static str, x: f64, y: f64, text: &str) {
    m.raw("<text class=\"")
        .raw(class)
        .raw("\" text-anchor=\"")
        .raw(anchor)
        .raw("\" x=\"")
        .number(x)
        .raw("\" y=\"")
        .number(y)
        .raw("\">")
        .text(text)
        .raw("</text>");
}

fn line(m: &mut Markup, class: &'static str, from: (f64, f64), to: (f64, f64)) {
    m.raw("<line class=\"")
        .raw(class)
        .raw("\" x1=\"")
        .number(from.0)
        .raw("\" y1=\"")
        .number(from.1)
        .raw("\" x2=\"")
        .number(to.0)
        .raw("\" y2=\"")
        .number(to.1)
        .raw("\"/>");
}

fn bar(
    m: &mut Markup,
    class: &'static str,
    x: f64,
    width: f64,
    bottom: f64,
    height: f64,
    title: &str,
) {
    if height <= 0.0 {
        return;
    }
    m.raw("<rect class=\"")
        .raw(class)
        .raw("\" x=\"")
        .number(x)
        .raw("\" y=\"")
        .number(bottom - height)
        .raw("\" width=\"")
        .number(width)
        .raw("\" height=\"")
        .number(height)
        .raw("\"><title>")
        .text(title)
        .raw("</title></rect>");
}

/// The picture. `title` and `notes` may be anybody's text.
pub fn svg(title: &str, notes: &[String], startups: MaxStartups, o: &Outcome) -> String {
    let mut m = Markup::default();
    m.raw("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"")
        .number(WIDTH)
        .raw("\" height=\"")
        .number(HEIGHT)
        .raw("\" viewBox=\"0 0 ")
        .number(WIDTH)
        .raw(" ")
        .number(HEIGHT)
        .raw("\"><title>")
        .text(title)
        .raw("</title><desc>")
        .text(&notes.join(" "))
        .raw("</desc>")
        .raw(STYLE);
    label(&mut m, "h", "start", LEFT - 50.0, 28.0, title);
    for (i, note) in notes.iter().take(3).enumerate() {
        label(
            &mut m,
            "s",
            "start",
            LEFT - 50.0,
            50.0 + 18.0 * i as f64,
            note,
        );
    }
    over_time(&mut m, startups, o);
    by_slots(&mut m, startups, o);
    m.raw("</svg>\n");
    m.finish()
}

fn over_time(m: &mut Markup, startups: MaxStartups, o: &Outcome) {
    let (top, bottom) = (136.0, 300.0);
    let most = o.slices.iter().map(|s| s.most).max().unwrap_or(0);
    let scale = f64::from(most.max(startups.start).max(1)) * 1.15;
    let refused = f64::from(o.slices.iter().map(|s| s.refused).max().unwrap_or(0)).max(1.0);
    let height = bottom - top;
    let step = PLOT / o.slices.len().max(1) as f64;
    label(
        m,
        "",
        "start",
        LEFT,
        top - 12.0,
        "Not logged in, at most (blue, left), and turned away (red, right), over time",
    );
    for (i, s) in o.slices.iter().enumerate() {
        let x = LEFT + step * i as f64;
        let from = seconds(i as f64 * o.slice_seconds);
        let title = format!(
            "after {from}: {} not logged in at most, {} of {} turned away",
            s.most, s.refused, s.tries
        );
        bar(
            m,
            "taken",
            x,
            step * 0.5,
            bottom,
            f64::from(s.most) / scale * height,
            &title,
        );
        let red = f64::from(s.refused) / refused * height * 0.9;
        bar(
            m,
            "refused",
            x + step * 0.5,
            step * 0.4,
            bottom,
            red,
            &title,
        );
    }
    line(m, "axis", (LEFT, bottom), (LEFT + PLOT, bottom));
    for (limit, name) in [(startups.start, "start"), (startups.full, "full")] {
        let y = bottom - f64::from(limit) / scale * height;
        if y >= top {
            line(m, "limit", (LEFT, y), (LEFT + PLOT, y));
            label(
                m,
                "s",
                "end",
                LEFT - 6.0,
                y + 4.0,
                &format!("{name} {limit}"),
            );
        }
    }
    label(m, "s", "end", LEFT - 6.0, bottom + 4.0, "0");
    label(
        m,
        "s",
        "start",
        LEFT + PLOT + 6.0,
        bottom - height * 0.9 + 4.0,
        &format!("{refused:.0}"),
    );
    let end = o.slice_seconds * o.slices.len() as f64;
    for i in 0..=4u32 {
        let part = f64::from(i) / 4.0;
        let anchor = match i {
            0 => "start",
            4 => "end",
            _ => "middle",
        };
        label(
            m,
            "s",
            anchor,
            LEFT + PLOT * part,
            bottom + 18.0,
            &seconds(end * part),
        );
    }
}

fn by_slots(m: &mut Markup, startups: MaxStartups, o: &Outcome) {
    let (top, bottom) = (360.0, 510.0);
    let height = bottom - top;
    let used = o.occupied.iter().rposition(|t| *t > 0.0).unwrap_or(0);
    // A setting far above what is ever used would leave the picture empty.
    let shown = (startups.full as usize)
        .min((used * 2).max(startups.start as usize * 2))
        .max(1);
    let step = PLOT / (shown + 1) as f64;
    let all: f64 = o.occupied.iter().sum::<f64>().max(1e-9);
    let most = o.occupied.iter().copied().fold(0.0, f64::max).max(1e-9);
    label(
        m,
        "",
        "start",
        LEFT,
        top - 12.0,
        "Chance of being turned away (red), by connections not logged in; how much of the time there were so many (grey)",
    );
    for (n, time) in o.occupied.iter().enumerate().take(shown + 1) {
        let title = format!(
            "{n} not logged in: {} of the time, {} % turned away",
            percent(time / all),
            startups.drop_percent(n as u32)
        );
        bar(
            m,
            "time",
            LEFT + step * n as f64,
            step * 0.9,
            bottom,
            time / most * height,
            &title,
        );
    }
    m.raw("<polyline class=\"chance\" points=\"");
    for n in 0..=shown {
        let x = LEFT + step * (n as f64 + 0.5);
        let chance = f64::from(startups.drop_percent(u32::try_from(n).unwrap_or(u32::MAX)));
        m.number(x)
            .raw(",")
            .number(bottom - chance / 100.0 * height)
            .raw(" ");
    }
    m.raw("\"/>");
    line(m, "axis", (LEFT, bottom), (LEFT + PLOT, bottom));
    for (part, name) in [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")] {
        label(
            m,
            "s",
            "end",
            LEFT - 6.0,
            bottom - part * height + 4.0,
            name,
        );
    }
    for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let n = (shown as f64 * part).round();
        label(
            m,
            "s",
            "middle",
            LEFT + step * (n + 0.5),
            bottom + 18.0,
            &format!("{n:.0}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::simulate::run::{SLICES, Slice};

    fn outcome() -> Outcome {
        let mut o = Outcome {
            slices: vec![Slice::default(); SLICES],
            slice_seconds: 30.0,
            occupied: vec![10.0, 5.0, 1.0],
            ..Outcome::default()
        };
        o.slices[3] = Slice {
            tries: 9,
            refused: 4,
            most: 12,
        };
        o
    }

    const LIMIT: MaxStartups = MaxStartups {
        start: 10,
        rate: 30,
        full: 100,
    };

    #[test]
    fn text_of_others_is_escaped_and_every_bar_says_what_it_is() {
        let drawn = svg(
            "</title><script>x</script>",
            &["a & \"b\"".into()],
            LIMIT,
            &outcome(),
        );
        assert!(!drawn.contains("<script"), "{drawn}");
        assert!(
            drawn.contains("a &amp; &quot;b&quot;")
                && drawn.starts_with("<svg ")
                && drawn.ends_with("</svg>\n")
        );
        assert!(
            drawn.contains("after 90 s: 12 not logged in at most, 4 of 9 turned away"),
            "{drawn}"
        );
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        assert_eq!(drawn.matches("<svg").count(), 1);
    }

    #[test]
    fn nothing_at_all_is_drawn_too() {
        let empty = Outcome::default();
        let drawn = svg(
            "",
            &[],
            MaxStartups {
                start: 1,
                rate: 1,
                full: u32::MAX,
            },
            &empty,
        );
        assert!(!drawn.contains("NaN") && drawn.len() < 20_000);
    }

    #[test]
    fn seconds_are_said_as_people_say_them() {
        let said: Vec<String> = [0.0, 0.5, 42.0, 700.0, 40_000.0, 1e6].map(seconds).to_vec();
        assert_eq!(said, ["0 s", "0.5 s", "42 s", "12 min", "11 h", "12 d"]);
    }
}
