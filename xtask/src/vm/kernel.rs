//! Which package is the newest kernel of a line.

use std::{cmp::Ordering, fmt};

use anyhow::{Result, bail, ensure};

use crate::arch::Arch;

/// Package name prefixes; where a version has both, only the first has the
/// image itself.
const PREFIXES: [&str; 2] = ["linux-binary-", "linux-image-"];
/// Ends of the names of packages that boot in a virtual machine, the smallest
/// first: Debian's and Ubuntu's.
const ORDINARY: [&str; 2] = ["cloud", "generic"];
const REAL_TIME: [&str; 1] = ["rt"];
/// Debian's with pages of 16 KiB, of arm64.
const LARGE_PAGES: [&str; 1] = ["16k"];

/// How the kernels of a line were built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    Ordinary,
    RealTime,
    LargePages,
}

impl Build {
    const ALL: [Self; 3] = [Self::Ordinary, Self::RealTime, Self::LargePages];

    /// Ends of the names of its packages.
    const fn flavours(self) -> &'static [&'static str] {
        match self {
            Self::Ordinary => &ORDINARY,
            Self::RealTime => &REAL_TIME,
            Self::LargePages => &LARGE_PAGES,
        }
    }

    /// What a line's name ends with.
    const fn end(self) -> &'static str {
        match self {
            Self::Ordinary => "",
            Self::RealTime => "-rt",
            Self::LargePages => "-16k",
        }
    }
}

/// A package with a kernel's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// `6.12.118+deb13`, without the flavour.
    pub(crate) version: String,
    numbers: Vec<u32>,
    flavour: String,
    binary: bool,
}

impl Package {
    /// Of a package's name; none where that is no kernel's.
    fn parse(name: &str, arch: Arch) -> Option<Self> {
        let prefix = PREFIXES.iter().find(|prefix| name.starts_with(**prefix))?;
        let rest = &name[prefix.len()..];
        // Ubuntu's names end with the flavour, Debian's with the architecture, but for
        // the size of pages.
        let rest = rest.replacen(&format!("-{}", arch.name()), "", 1);
        let (version, flavour) = rest.rsplit_once('-')?;
        let mut known = Build::ALL.iter().flat_map(|build| build.flavours());
        if !known.any(|known| *known == flavour) || !is_release(version) {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            version: version.to_owned(),
            numbers: numbers(version),
            flavour: flavour.to_owned(),
            binary: *prefix == PREFIXES[0],
        })
    }

    /// Whether a package of this name is an older one of the same line.
    pub(crate) fn is_newer_than(&self, name: &str, arch: Arch) -> bool {
        Self::parse(name, arch).is_some_and(|other| {
            other.flavour == self.flavour
                && other.numbers[..2] == self.numbers[..2]
                && other.order(self).is_lt()
        })
    }

    fn order(&self, other: &Self) -> Ordering {
        let preference = |package: &Self| {
            let place = ORDINARY.iter().position(|known| *known == package.flavour);
            std::cmp::Reverse(place)
        };
        (self.numbers.cmp(&other.numbers))
            .then(self.binary.cmp(&other.binary))
            .then(preference(self).cmp(&preference(other)))
    }
}

/// A metapackage has no third number.
fn is_release(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
        && version.split('.').take(3).count() == 3
        && !version.contains("unsigned")
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// A line of kernels, of which the newest is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// All whose version begins with these numbers.
    Of { numbers: Vec<u32>, build: Build },
    /// All below a major version.
    Below(u32),
    /// All there are.
    Newest,
}

impl Line {
    pub(crate) const fn below_7() -> Self {
        Self::Below(7)
    }

    pub(crate) fn of(major: u32, minor: u32) -> Self {
        Self::Of {
            numbers: vec![major, minor],
            build: Build::Ordinary,
        }
    }

    pub(crate) fn real_time(major: u32, minor: u32) -> Self {
        Self::Of {
            numbers: vec![major, minor],
            build: Build::RealTime,
        }
    }

    pub(crate) fn large_pages(major: u32, minor: u32) -> Self {
        Self::Of {
            numbers: vec![major, minor],
            build: Build::LargePages,
        }
    }

    /// The lines of an architecture that are tested wherever they are offered.
    pub(crate) fn all(arch: Arch) -> Vec<Self> {
        match arch {
            Arch::Amd64 => vec![
                Self::of(5, 15),
                Self::of(6, 1),
                Self::of(6, 6),
                Self::of(6, 8),
                Self::of(6, 12),
                Self::real_time(6, 12),
                Self::below_7(),
                Self::Newest,
            ],
            Arch::Arm64 => vec![
                Self::of(6, 1),
                Self::of(6, 12),
                Self::large_pages(6, 12),
                Self::Newest,
            ],
        }
    }

    /// Of a name as this type prints it, or of the beginning of a version.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "newest" => return Ok(Self::Newest),
            "below-7" => return Ok(Self::below_7()),
            _ => {}
        }
        let special = [Build::RealTime, Build::LargePages].into_iter();
        let mut special =
            special.filter_map(|build| Some((text.strip_suffix(build.end())?, build)));
        let (version, build) = special.next().unwrap_or((text, Build::Ordinary));
        let numbers: Result<Vec<u32>, _> = version.split('.').map(str::parse).collect();
        let Ok(numbers) = numbers else {
            bail!(
                "{text} names no kernel: expected newest, below-7, the beginning of a version such \
                 as 6.12, 6.12-rt or 6.12-16k, or the file of a kernel's image; see `cargo xtask vm list`"
            );
        };
        ensure!(
            numbers.len() >= 2,
            "{text} is too little of a version: expected at least 6.12, for example"
        );
        Ok(Self::Of { numbers, build })
    }

    fn has(&self, package: &Package) -> bool {
        let build = match self {
            Self::Of { build, .. } => *build,
            Self::Below(_) | Self::Newest => Build::Ordinary,
        };
        if !build.flavours().contains(&package.flavour.as_str()) {
            return false;
        }
        match self {
            Self::Of { numbers, .. } => package.numbers.starts_with(numbers),
            // The lines before are tested by themselves.
            Self::Below(major) => package.numbers[0] < *major,
            Self::Newest => true,
        }
    }

    /// The newest of it among names of packages.
    pub(crate) fn newest<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
        arch: Arch,
    ) -> Option<Package> {
        names
            .filter_map(|name| Package::parse(name, arch))
            .filter(|package| self.has(package))
            .max_by(Package::order)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("newest"),
            Self::Below(major) => write!(f, "below-{major}"),
            Self::Of { numbers, build } => {
                let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
                write!(f, "{}{}", numbers.join("."), build.end())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Package};
    use crate::arch::Arch;

    const DEBIAN: &str = "linux-image-6.1.0-9-cloud-amd64 linux-image-6.1.0-56-cloud-amd64 \
        linux-image-6.1.0-56-rt-amd64 linux-image-6.12-cloud-amd64 \
        linux-image-6.12.117+deb13-cloud-amd64 linux-image-6.12.118+deb13-rt-amd64 \
        linux-image-6.12.118+deb12-cloud-amd64 linux-image-6.12.118+deb13-cloud-amd64 \
        linux-image-6.12.118+deb13-cloud-amd64-unsigned linux-image-6.12.118+deb13-cloud-arm64 \
        linux-image-6.19.14+deb13-cloud-amd64 linux-binary-6.19.14+deb13-cloud-amd64 \
        linux-binary-7.0.13+deb13-cloud-amd64 linux-image-7.3.4+deb13-cloud-amd64 \
        linux-binary-7.3.4+deb13-cloud-amd64 linux-binary-7.3.4+deb13-rt-amd64";
    const ARM64: &str = "linux-image-6.1.0-57-cloud-arm64 linux-image-6.1.0-57-arm64 \
        linux-image-6.12.118+deb13-arm64-16k linux-image-6.12.118+deb13-cloud-arm64 \
        linux-image-6.12.119+deb13-arm64-16k-dbg linux-image-6.12.118+deb13-rt-arm64 \
        linux-binary-7.3.4+deb13-arm64-16k linux-binary-7.3.4+deb13-cloud-arm64";
    const UBUNTU: &str = "linux-image-generic linux-image-5.15.0-25-generic \
        linux-image-5.15.0-161-generic linux-image-6.8.0-90-generic \
        linux-image-unsigned-6.8.0-91-generic linux-image-6.8.0-88-lowlatency";

    fn newest(line: &str, names: &str) -> Option<String> {
        let line = Line::parse(line).unwrap();
        let package = line.newest(names.split_whitespace(), Arch::Amd64)?;
        Some(package.name)
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let expected = |line: &str, name: &str| {
            assert_eq!(newest(line, DEBIAN).as_deref(), Some(name), "{line}");
        };
        expected("6.1", "linux-image-6.1.0-56-cloud-amd64");
        expected("6.12", "linux-image-6.12.118+deb13-cloud-amd64");
        expected("6.12-rt", "linux-image-6.12.118+deb13-rt-amd64");
        expected("6.12.117", "linux-image-6.12.117+deb13-cloud-amd64");
    }

    #[test]
    fn the_package_with_the_image_itself_is_chosen() {
        let name = "linux-binary-6.19.14+deb13-cloud-amd64";
        assert_eq!(newest("below-7", DEBIAN).as_deref(), Some(name));
        let name = "linux-binary-7.3.4+deb13-cloud-amd64";
        assert_eq!(newest("newest", DEBIAN).as_deref(), Some(name));
    }

    #[test]
    fn what_is_not_offered_is_none() {
        assert_eq!(newest("5.15", DEBIAN), None);
        assert_eq!(newest("6.6", UBUNTU), None);
    }

    #[test]
    fn ubuntus_names_are_known() {
        let name = "linux-image-5.15.0-161-generic";
        assert_eq!(newest("5.15", UBUNTU).as_deref(), Some(name));
        let name = "linux-image-6.8.0-90-generic";
        assert_eq!(newest("6.8", UBUNTU).as_deref(), Some(name));
    }

    #[test]
    fn pages_have_the_ordinary_size_unless_another_is_asked_for() {
        let names = || ARM64.split_whitespace();
        let newest = |line: Line| line.newest(names(), Arch::Arm64).unwrap();
        for (line, name, version) in [
            (
                Line::of(6, 1),
                "linux-image-6.1.0-57-cloud-arm64",
                "6.1.0-57",
            ),
            (
                Line::of(6, 12),
                "linux-image-6.12.118+deb13-cloud-arm64",
                "6.12.118+deb13",
            ),
            (
                Line::large_pages(6, 12),
                "linux-image-6.12.118+deb13-arm64-16k",
                "6.12.118+deb13",
            ),
            (
                Line::Newest,
                "linux-binary-7.3.4+deb13-cloud-arm64",
                "7.3.4+deb13",
            ),
        ] {
            let package = newest(line);
            assert_eq!(package.name, name);
            assert_eq!(package.version, version);
        }
        assert!(Line::of(6, 1).newest(names(), Arch::Amd64).is_none());
    }

    #[test]
    fn a_line_is_read_as_it_is_printed() {
        for line in Arch::ALL.into_iter().flat_map(Line::all) {
            assert_eq!(Line::parse(&line.to_string()).unwrap(), line);
        }
        let error = Line::parse("6").unwrap_err().to_string();
        assert!(error.contains("6.12"), "{error}");
        assert!(Line::parse("bookworm").is_err());
    }

    #[test]
    fn only_what_is_older_and_of_the_same_line_is_left() {
        let parse = |name: &str| Package::parse(name, Arch::Amd64).unwrap();
        let package = parse("linux-image-6.12.118+deb13-cloud-amd64");
        let older = |name: &str| package.is_newer_than(name, Arch::Amd64);
        assert!(older("linux-image-6.12.117+deb13-cloud-amd64"));
        assert!(!older("linux-image-6.12.118+deb13-cloud-amd64"));
        assert!(!older("linux-image-6.12.117+deb13-rt-amd64"));
        assert!(!older("linux-image-6.1.0-56-cloud-amd64"));
        assert!(!older("apt"));
    }

    #[test]
    fn a_version_has_no_flavour() {
        let package = Package::parse("linux-image-6.1.0-56-cloud-amd64", Arch::Amd64).unwrap();
        assert_eq!(package.version, "6.1.0-56");
    }
}
