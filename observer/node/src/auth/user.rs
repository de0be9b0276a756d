//! Whom a request is from.

use std::collections::BTreeMap;

use k8s_openapi::api::authentication::v1::UserInfo;

/// The group of everyone who is known.
const AUTHENTICATED: &str = "system:authenticated";
/// Names that Kubernetes gives to those who are not known.
const ANONYMOUS: &str = "system:anonymous";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// A user as Kubernetes describes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name that rights are bound to.
    pub name: String,
    /// What tells users of one name apart over time; may be empty.
    pub uid: String,
    /// Groups that rights are bound to.
    pub groups: Vec<String>,
    /// What an authorizer may want to know beyond that.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user that proved who it is; none where the name says that nobody did.
    pub fn authenticated(mut self) -> Option<Self> {
        let anonymous = self.name.is_empty()
            || self.name == ANONYMOUS
            || self.groups.iter().any(|group| group == UNAUTHENTICATED);
        if anonymous {
            return None;
        }
        if !self.groups.iter().any(|group| group == AUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        Some(self)
    }
}

impl From<UserInfo> for User {
    fn from(info: UserInfo) -> Self {
        Self {
            name: info.username.unwrap_or_default(),
            uid: info.uid.unwrap_or_default(),
            groups: info.groups.unwrap_or_default(),
            extra: info.extra.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::User;

    fn user(name: &str, groups: &[&str]) -> User {
        User {
            name: name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..User::default()
        }
    }

    #[test]
    fn nobody_is_no_user() {
        for (name, group) in [
            ("", "a"),
            ("system:anonymous", "a"),
            ("x", "system:unauthenticated"),
        ] {
            assert_eq!(user(name, &[group]).authenticated(), None, "{name} {group}");
        }
    }

    #[test]
    fn the_group_of_all_users_is_added_once() {
        for groups in [&["a"][..], &["a", "system:authenticated"][..]] {
            let user = user("jane", groups).authenticated().unwrap();
            assert_eq!(user.groups, ["a", "system:authenticated"]);
        }
    }
}
