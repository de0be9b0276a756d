//! What strangers wrote, such as the name of a file, in one line of text: no end of a
//! line in it, nothing that a terminal obeys, nothing that turns the text around.

use std::fmt::{self, Display, Formatter, Write};

use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FormatFields,
        format::{DefaultFields, Writer},
    },
};

/// Text, with what is not to be seen as Rust writes it: `\n`, `\u{1b}`.
pub(crate) struct Plain<'a>(pub &'a str);

impl Display for Plain<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Escaping(formatter).write_str(self.0)
    }
}

/// The fields of an event or a span, the message among them, as [`Plain`] text.
pub(super) struct PlainFields;

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut escaping = Escaping(&mut writer);
        // Without colours of its own: they would be escaped too.
        DefaultFields::new().format_fields(Writer::new(&mut escaping), fields)
    }
}

/// Writes text on as [`Plain`] text.
struct Escaping<'a, W>(&'a mut W);

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, found)) = rest.char_indices().find(|(_, found)| !is_plain(*found)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", found.escape_debug())?;
            rest = &rest[at + found.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Quotes and backslashes are as harmless as letters, and often in messages.
fn is_plain(found: char) -> bool {
    matches!(found, ' '..='~') || found.escape_debug().len() == 1
}
