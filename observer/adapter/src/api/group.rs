//! The API's groups and their versions.

use clap::ValueEnum;

/// A version of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiVersion {
    /// `v1beta1`.
    V1Beta1,
    /// `v1beta2`.
    V1Beta2,
}

impl ApiVersion {
    /// As in paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1Beta1 => "v1beta1",
            Self::V1Beta2 => "v1beta2",
        }
    }
}

/// A group of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiGroup {
    /// Metrics of objects.
    Custom,
    /// Metrics chosen by labels alone.
    External,
}

impl ApiGroup {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Custom, Self::External];

    /// As in paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Custom => "custom.metrics.k8s.io",
            Self::External => "external.metrics.k8s.io",
        }
    }

    /// Its versions, the preferred first.
    pub const fn versions(self) -> &'static [ApiVersion] {
        match self {
            Self::Custom => &[ApiVersion::V1Beta2, ApiVersion::V1Beta1],
            Self::External => &[ApiVersion::V1Beta1],
        }
    }

    /// Its version of this name.
    pub fn version(self, name: &str) -> Option<ApiVersion> {
        let mut versions = self.versions().iter().copied();
        versions.find(|version| version.name() == name)
    }

    /// The name of a version's APIService.
    pub fn api_service(self, version: ApiVersion) -> String {
        format!("{}.{}", version.name(), self.name())
    }

    /// A version as `apiVersion` names it.
    pub fn api_version(self, version: ApiVersion) -> String {
        format!("{}/{}", self.name(), version.name())
    }
}

/// Which groups are served. A cluster has one server for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ApiGroups {
    /// custom.metrics.k8s.io
    #[default]
    Custom,
    /// external.metrics.k8s.io, where another server has the first
    External,
    /// both
    Both,
}

impl ApiGroups {
    /// Each of them.
    pub const fn all(self) -> &'static [ApiGroup] {
        match self {
            Self::Custom => &[ApiGroup::Custom],
            Self::External => &[ApiGroup::External],
            Self::Both => &ApiGroup::ALL,
        }
    }

    /// The one of this name, if it is served.
    pub fn named(self, name: &str) -> Option<ApiGroup> {
        let mut groups = self.all().iter().copied();
        groups.find(|group| group.name() == name)
    }
}
