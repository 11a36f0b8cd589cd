//! Where text stands on a grid of terminal cells: width, cutting, wrapping, tables.
//!
//! Everything here expects text that went through [`super::escape::terminal`]. Widths are sums over characters (East
//! Asian wide ones take two cells, combining marks none), as terminals count them.

use unicode_width::UnicodeWidthChar;

/// Cells that `text` takes.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The longest start of `text` that fits `cells`, as a byte length.
fn fitting(text: &str, cells: usize) -> usize {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += char_width(c);
        if used > cells {
            return at;
        }
    }
    text.len()
}

/// `text` in at most `cells`, its end given up: `a long us…`.
pub fn cut(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    if cells == 0 {
        return String::new();
    }
    let end = fitting(text, cells - 1);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// `text` in at most `cells`, its beginning given up: `…log/auth.log:1042`.
pub fn cut_start(text: &str, cells: usize) -> String {
    let all = width(text);
    if all <= cells {
        return text.to_owned();
    }
    if cells == 0 {
        return String::new();
    }
    let mut left = all;
    for (at, c) in text.char_indices() {
        // A mark would land on the ellipsis.
        if left < cells && char_width(c) > 0 {
            return format!("…{}", text.get(at..).unwrap_or_default());
        }
        left -= char_width(c);
    }
    "…".to_owned()
}

/// `text` followed (or with `right` preceded) by blanks up to `cells`.
pub fn pad(text: &str, cells: usize, right: bool) -> String {
    let blanks = " ".repeat(cells.saturating_sub(width(text)));
    if right {
        format!("{blanks}{text}")
    } else {
        format!("{text}{blanks}")
    }
}

/// Breaks `text` into lines of at most `cells`: at blanks, beside wide characters, and inside a word only when the word
/// alone is longer than a line. Blanks inside a line stay as they are. At least one line.
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(2); // a wide character needs two
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for piece in pieces(text) {
        let mut word = piece.word;
        let mut need = width(word);
        if used > 0 && used + piece.blanks + need > cells {
            lines.push(std::mem::take(&mut line));
            used = 0;
        } else if used > 0 || lines.is_empty() {
            line.extend(std::iter::repeat_n(' ', piece.blanks.min(cells - used)));
            used += piece.blanks.min(cells - used);
        }
        while used + need > cells {
            let end = fitting(word, cells - used);
            line.push_str(word.get(..end).unwrap_or_default());
            lines.push(std::mem::take(&mut line));
            word = word.get(end..).unwrap_or_default();
            need = width(word);
            used = 0;
        }
        line.push_str(word);
        used += need;
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

struct Piece<'a> {
    /// Blanks before the word.
    blanks: usize,
    word: &'a str,
}

/// Words, and wide characters each for itself: East Asian text has no blanks to break at.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut blanks = 0;
    for (i, run) in text.split(' ').enumerate() {
        blanks += usize::from(i > 0);
        let mut rest = run;
        while !rest.is_empty() {
            let (word, after) = rest.split_at(piece_end(rest));
            out.push(Piece {
                blanks: std::mem::take(&mut blanks),
                word,
            });
            rest = after;
        }
    }
    out
}

/// Where the first piece of a run without blanks ends: after a wide character with its marks, or before the next.
fn piece_end(run: &str) -> usize {
    let mut chars = run.char_indices();
    let wide_first = chars.next().is_some_and(|(_, c)| char_width(c) > 1);
    chars
        .find(|(_, c)| char_width(*c) > usize::from(!wide_first))
        .map_or(run.len(), |(at, _)| at)
}

/// How a column gives way when the line is too short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shrink {
    /// Never cut.
    Never,
    /// The end is cut, down to this many cells.
    End(usize),
    /// The beginning is cut, down to this many cells.
    Start(usize),
}

#[derive(Clone, Debug)]
pub struct Column {
    pub title: &'static str,
    pub right: bool,
    pub shrink: Shrink,
    /// Columns with the highest number are left out first when nothing else helps; 0 is never left out.
    pub drop: u8,
}

impl Column {
    pub fn text(title: &'static str, least: usize, drop: u8) -> Column {
        Column {
            title,
            right: false,
            shrink: Shrink::End(least),
            drop,
        }
    }

    pub fn place(title: &'static str, least: usize, drop: u8) -> Column {
        Column {
            title,
            right: false,
            shrink: Shrink::Start(least),
            drop,
        }
    }

    pub fn number(title: &'static str, drop: u8) -> Column {
        Column {
            title,
            right: true,
            shrink: Shrink::Never,
            drop,
        }
    }

    pub fn fixed(title: &'static str, drop: u8) -> Column {
        Column {
            title,
            right: false,
            shrink: Shrink::Never,
            drop,
        }
    }
}

const GAP: usize = 2;

/// A table as lines: the titles, then one line a row. Columns that are empty in every row are left out; the rest shrinks
/// or goes as its [`Column`] says until a line fits `cells`, and is cut where even that is not enough.
pub fn table(columns: &[Column], rows: &[Vec<String>], cells: usize) -> Vec<String> {
    let cell = |row: &[String], i: usize| row.get(i).map_or("", String::as_str).to_owned();
    let natural: Vec<usize> = (0..columns.len())
        .map(|i| {
            rows.iter()
                .map(|r| r.get(i).map_or(0, |c| width(c)))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut shown: Vec<usize> = (0..columns.len())
        .filter(|i| natural.get(*i).is_some_and(|w| *w > 0))
        .collect();
    let widths = loop {
        let of = |i: usize| {
            natural
                .get(i)
                .copied()
                .unwrap_or(0)
                .max(columns.get(i).map_or(0, |c| width(c.title)))
        };
        let mut widths: Vec<usize> = shown.iter().map(|i| of(*i)).collect();
        let least: Vec<usize> = shown
            .iter()
            .map(|i| match columns.get(*i).map(|c| c.shrink) {
                Some(Shrink::End(n) | Shrink::Start(n)) => n.min(of(*i)),
                _ => of(*i),
            })
            .collect();
        let gaps = GAP * shown.len().saturating_sub(1);
        if fit(&mut widths, &least, cells.saturating_sub(gaps)) {
            break widths;
        }
        let worst = (0..shown.len()).max_by_key(|at| {
            shown
                .get(*at)
                .and_then(|i| columns.get(*i))
                .map_or(0, |c| c.drop)
        });
        match worst {
            Some(at)
                if shown
                    .get(at)
                    .and_then(|i| columns.get(*i))
                    .is_some_and(|c| c.drop > 0) =>
            {
                shown.remove(at);
            }
            _ => {
                // What is left is needed: cut even what should not be, rather than break the line.
                let one = vec![1; widths.len()];
                fit(&mut widths, &one, cells.saturating_sub(gaps));
                break widths;
            }
        }
    };
    let line = |cell: &dyn Fn(usize) -> String| {
        let mut line = String::new();
        for (at, (i, w)) in shown.iter().zip(&widths).enumerate() {
            let Some(column) = columns.get(*i) else {
                continue;
            };
            let text = match column.shrink {
                Shrink::Start(_) => cut_start(&cell(*i), *w),
                _ => cut(&cell(*i), *w),
            };
            if at > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            line.push_str(&pad(&text, *w, column.right));
        }
        line.truncate(line.trim_end().len());
        line
    };
    let mut lines = vec![line(&|i| columns.get(i).map_or("", |c| c.title).to_owned())];
    lines.extend(rows.iter().map(|row| line(&|i| cell(row, i))));
    lines
}

/// Takes cells from whatever column is widest until the sum fits; `false` when even the least widths do not.
fn fit(widths: &mut [usize], least: &[usize], cells: usize) -> bool {
    loop {
        let sum: usize = widths.iter().sum();
        if sum <= cells {
            return true;
        }
        let widest = widths
            .iter_mut()
            .zip(least)
            .filter(|(w, least)| **w > **least)
            .max_by_key(|(w, _)| **w);
        match widest {
            // A hostile name may be a hundred thousand cells wide: go down to the line at once.
            Some((w, least)) if *w > cells => *w = (*least).max(cells),
            Some((w, _)) => *w -= 1,
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_count_cells() {
        assert_eq!(width("root"), 4);
        assert_eq!(width("管理员"), 6);
        assert_eq!(width("Jose\u{301}"), 4);
        assert_eq!(width("ｆｕｌｌ😀"), 10);
    }

    #[test]
    fn cutting_respects_wide_characters() {
        assert_eq!(cut("管理员", 6), "管理员");
        assert_eq!(cut("管理员", 5), "管理…");
        assert_eq!(cut("管理员", 4), "管…");
        assert_eq!(cut_start("/var/log/auth.log:1042", 12), "…th.log:1042");
        assert_eq!(cut_start("管理员", 4), "…员");
        assert_eq!(cut_start("管理员", 1), "…");
        assert_eq!(cut("abc", 0), "");
        for cells in 1..12 {
            for text in [
                "管理员abc",
                "abc管理员",
                "e\u{301}e\u{301}e\u{301}e\u{301}",
                "/var/log/auth.log:1042",
            ] {
                assert!(width(&cut(text, cells)) <= cells);
                assert!(
                    width(&cut_start(text, cells)) <= cells,
                    "{text} {cells} {}",
                    cut_start(text, cells)
                );
            }
        }
    }

    #[test]
    fn wrapping_breaks_at_blanks_and_keeps_the_others() {
        assert_eq!(wrap("Mar  5 10:00 host", 12), ["Mar  5 10:00", "host"]);
        assert_eq!(wrap("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap("aaaaaaaaaa b", 4), ["aaaa", "aaaa", "aa b"]);
    }

    #[test]
    fn wrapping_breaks_between_wide_characters() {
        assert_eq!(wrap("拒绝用户root登录", 8), ["拒绝用户", "root登录"]);
        assert_eq!(wrap("管理员", 3), ["管", "理", "员"]);
    }

    #[test]
    fn wrapped_lines_fit_and_lose_nothing_but_blanks() {
        let text = "Failed password for invalid user 管理员 from 2001:db8::ffff:ffff:ffff:1 port 50312 ssh2 \\x1b]52;c;AAAA";
        for cells in 2..90 {
            let lines = wrap(text, cells);
            assert!(
                lines.iter().all(|l| width(l) <= cells),
                "{cells}: {lines:?}"
            );
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        }
    }

    fn rows() -> Vec<Vec<String>> {
        [
            ["203.0.113.7", "12,001", "root, admin", ""],
            ["2001:db8::1", "3", "管理员管理员管理员管理员", ""],
        ]
        .iter()
        .map(|r| r.iter().map(|c| (*c).to_owned()).collect())
        .collect()
    }

    #[test]
    fn tables_align_and_leave_empty_columns_out() {
        let columns = [
            Column::text("address", 11, 0),
            Column::number("failures", 0),
            Column::text("users", 8, 0),
            Column::text("findings", 8, 0),
        ];
        assert_eq!(
            table(&columns, &rows(), 60),
            [
                "address      failures  users",
                "203.0.113.7    12,001  root, admin",
                "2001:db8::1         3  管理员管理员管理员管理员",
            ]
        );
        assert_eq!(
            table(&columns, &rows(), 36),
            [
                "address      failures  users",
                "203.0.113.7    12,001  root, admin",
                "2001:db8::1         3  管理员管理员…",
            ]
        );
    }

    #[test]
    fn tables_drop_columns_only_when_shrinking_is_not_enough() {
        let columns = [
            Column::text("address", 11, 0),
            Column::number("failures", 2),
            Column::text("users", 8, 1),
            Column::text("findings", 8, 0),
        ];
        let lines = table(&columns, &rows(), 24);
        assert_eq!(
            lines.first().map(String::as_str),
            Some("address      users")
        );
        assert!(lines.iter().all(|l| width(l) <= 24));
        assert_eq!(
            table(&columns, &rows(), 12).first().map(String::as_str),
            Some("address")
        );
    }

    #[test]
    fn a_gigantic_cell_is_cut_at_once() {
        let rows = vec![vec!["x".repeat(1_000_000), "1".to_owned()]];
        let lines = table(
            &[Column::text("user", 8, 0), Column::number("n", 0)],
            &rows,
            40,
        );
        assert!(lines.iter().all(|l| width(l) <= 40));
    }
}
