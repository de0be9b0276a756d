//! As much of TOML as `versions.toml` has: tables with strings, lists of strings and
//! flags, each on a line of its own. Everything else is an error, so that the file
//! means the same to every reader of TOML.

/// A `[[table]]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table<'t> {
    /// Between the brackets; empty for what stands before the first.
    pub(crate) name: &'t str,
    values: Vec<(&'t str, Value<'t>)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Value<'t> {
    String(&'t str),
    List(Vec<&'t str>),
    Flag(bool),
}

impl<'t> Table<'t> {
    fn value(&self, key: &str) -> Option<&Value<'t>> {
        let mut values = self.values.iter();
        values.find(|(known, _)| *known == key).map(|(_, it)| it)
    }

    /// Itself, where it has this key.
    pub(crate) fn may(&self, key: &str) -> Option<&Self> {
        self.value(key).map(|_| self)
    }

    /// A string that must be there.
    pub(crate) fn string(&self, key: &str) -> &'t str {
        match self.value(key) {
            Some(Value::String(text)) => text,
            other => panic!("[[{}]] {key}: {other:?}, expected a string", self.name),
        }
    }

    /// A list that must be there.
    pub(crate) fn list(&self, key: &str) -> Vec<&'t str> {
        match self.value(key) {
            Some(Value::List(list)) => list.clone(),
            other => panic!("[[{}]] {key}: {other:?}, expected a list", self.name),
        }
    }

    /// A flag that must be there.
    pub(crate) fn flag(&self, key: &str) -> bool {
        match self.value(key) {
            Some(Value::Flag(flag)) => *flag,
            other => panic!("[[{}]] {key}: {other:?}, expected true or false", self.name),
        }
    }
}

/// Every table, in order.
pub(crate) fn parse(text: &str) -> Result<Vec<Table<'_>>, String> {
    let mut tables = vec![Table {
        name: "",
        values: Vec::new(),
    }];
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.strip_prefix("[[").and_then(|it| it.strip_suffix("]]"));
        if let Some(name) = name {
            let values = Vec::new();
            tables.push(Table { name, values });
            continue;
        }
        let wrong = || format!("`{line}`: expected [[TABLE]], or KEY = VALUE on one line");
        let (key, said) = line.split_once(" = ").ok_or_else(wrong)?;
        let value = value(said).ok_or_else(wrong)?;
        let table = tables.last_mut().ok_or_else(wrong)?;
        if table.value(key).is_some() {
            return Err(format!("`{line}`: {key} is there twice"));
        }
        table.values.push((key, value));
    }
    Ok(tables)
}

fn value(said: &str) -> Option<Value<'_>> {
    match said {
        "true" => return Some(Value::Flag(true)),
        "false" => return Some(Value::Flag(false)),
        "[]" => return Some(Value::List(Vec::new())),
        _ => {}
    }
    match said.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(items) => items
            .split(", ")
            .map(string)
            .collect::<Option<_>>()
            .map(Value::List),
        None => string(said).map(Value::String),
    }
}

fn string(said: &str) -> Option<&str> {
    let text = said.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains(['"', '\\'])).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn tables_have_what_is_behind_them() {
        let text = "a = \"1\"\n# no\n\n[[t]]\na = [\"x\", \"y\"]\nf = true\n[[t]]\na = []\n";
        let tables = parse(text).unwrap();
        assert_eq!((tables.len(), tables[0].string("a")), (3, "1"));
        assert_eq!(tables[1].list("a"), ["x", "y"]);
        assert!(tables[1].flag("f") && tables[2].may("f").is_none());
        assert!(tables[2].list("a").is_empty());
    }

    #[test]
    fn what_is_no_such_line_is_said() {
        for line in [
            "a",
            "a = 1",
            "[t]",
            "a = 'x'",
            "a = [\"x\" \"y\"]",
            "a = \"\\n\"",
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(line), "{error}");
        }
        assert!(parse("a = \"x\"\na = \"y\"").unwrap_err().contains("twice"));
    }
}
