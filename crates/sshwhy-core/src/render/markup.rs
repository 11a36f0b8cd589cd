//! HTML as it is put together: what we wrote ourselves goes in as it is, everything else is escaped.
//!
//! [`Markup::raw`] takes only text that is part of the program, so that no value can reach the page unescaped.

use super::escape;
use std::fmt::Write;

#[derive(Default)]
pub(crate) struct Markup(String);

impl Markup {
    pub fn raw(&mut self, markup: &'static str) -> &mut Markup {
        self.0.push_str(markup);
        self
    }

    /// A value, as text or inside a double-quoted attribute.
    pub fn text(&mut self, text: &str) -> &mut Markup {
        self.0.push_str(&escape::html(text));
        self
    }

    /// At most `most` characters of a value, and how many were left out.
    pub fn clipped(&mut self, text: &str, most: usize) -> &mut Markup {
        match text.char_indices().nth(most) {
            None => self.text(text),
            Some((end, _)) => {
                let rest = text.chars().count() - most;
                self.text(text.get(..end).unwrap_or_default())
                    .raw(" <span class=\"dim\">… ")
                    .text(&super::words::count(rest as u64, "character", "characters"))
                    .raw(" more</span>")
            }
        }
    }

    /// A number for an attribute or a style, at most two decimals.
    pub fn number(&mut self, n: f64) -> &mut Markup {
        let n = (n * 100.0).round() / 100.0;
        let _ = write!(self.0, "{}", if n.is_finite() { n } else { 0.0 });
        self
    }

    pub fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_clipped() {
        let mut m = Markup::default();
        m.raw("<b title=\"")
            .text("\"<x>")
            .raw("\">")
            .clipped("<<<<", 2)
            .raw("</b>")
            .number(1.0 / 3.0);
        assert_eq!(
            m.finish(),
            "<b title=\"&quot;&lt;x&gt;\">&lt;&lt; <span class=\"dim\">… 2 characters more</span></b>0.33"
        );
        let mut m = Markup::default();
        m.clipped("管理", 2)
            .number(f64::NAN)
            .number(12.0)
            .number(-0.004);
        assert_eq!(m.finish(), "管理012-0");
    }
}
