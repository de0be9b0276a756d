//! Which families are probed.

use core::fmt;

use super::{FAMILIES, Family};

/// The families that are probed. By default those that are not on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection(u32);

/// No family on request has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFamily;

impl fmt::Display for UnknownFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected one of")?;
        let mut on_request = FAMILIES.iter().filter(|family| family.on_request);
        on_request.try_for_each(|family| write!(f, " {}", family.name))
    }
}

impl core::error::Error for UnknownFamily {}

impl Default for Selection {
    fn default() -> Self {
        let numbered = FAMILIES.iter().enumerate();
        let always = numbered.filter(|(_, family)| !family.on_request);
        Self(always.fold(0, |set, (number, _)| set | 1 << number))
    }
}

impl Selection {
    /// The same, and the family of this name.
    pub fn with(self, name: &str) -> Result<Self, UnknownFamily> {
        let asked = |family: &&Family| family.on_request && family.name == name;
        let number = FAMILIES.iter().position(asked).ok_or(UnknownFamily)?;
        Ok(Self(self.0 | 1 << number))
    }

    /// Whether it has the family of this number.
    pub const fn has(self, number: u8) -> bool {
        self.0 & 1 << number != 0
    }

    /// The families, with their numbers.
    pub fn families(self) -> impl Iterator<Item = (u8, &'static Family)> {
        let numbered = FAMILIES.iter().enumerate();
        let numbered = numbered.map(|(number, family)| (number as u8, *family));
        numbered.filter(move |(number, _)| self.has(*number))
    }

    /// Whether it has a span.
    pub fn has_spans(self) -> bool {
        self.families().any(|(_, family)| family.span().is_some())
    }

    /// Whether it has a span that ends.
    pub fn has_durations(self) -> bool {
        let span = |(_, family): (u8, &Family)| family.span();
        self.families()
            .filter_map(span)
            .any(|span| !span.ends.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::{FAMILIES, Selection};

    #[test]
    fn what_is_on_request_is_off_until_it_is_asked_for() {
        let default = Selection::default();
        for (number, family) in FAMILIES.iter().enumerate() {
            let number = u8::try_from(number).expect("few");
            assert_eq!(default.has(number), !family.on_request, "{}", family.name);
            let asked = default.with(family.name);
            assert_eq!(asked.is_ok(), family.on_request, "{}", family.name);
            assert_eq!(asked.is_ok_and(|it| it.has(number)), family.on_request);
        }
        let unknown = default.with("nothing").expect_err("no family");
        assert!(unknown.to_string().starts_with("expected one of"));
    }
}
