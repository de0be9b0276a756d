//! The architectures that are observed, and that images are made for.

use clap::ValueEnum;
use oci_spec::image;

/// An architecture, under the name that Go and container images use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    pub(crate) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Its name in GOARCH and in file names.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's target of static binaries.
    pub(crate) const fn rust_target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    pub(crate) const fn in_image(self) -> image::Arch {
        match self {
            Self::Amd64 => image::Arch::Amd64,
            Self::Arm64 => image::Arch::ARM64,
        }
    }
}
