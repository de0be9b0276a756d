//! Paths and selectors that anyone may send, made up at random and the same each time.
//! The fuzzer has no part in this: it would have to compile all that this crate needs.

use observer_node::auth::review::Access;

use crate::api::{
    group::ApiGroups,
    path::{Asked, ObjectKind, Request},
    selector::{Labels, Selector},
};

/// Of each kind.
const TEXTS: usize = 20_000;

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    const fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize
    }

    /// In one of so many cases.
    const fn one_in(&mut self, cases: usize) -> bool {
        self.next().is_multiple_of(cases)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.next() % all.len()]
    }
}

/// Parts of paths, and what has no place there.
const PARTS: [&str; 26] = [
    "apis",
    "openapi",
    "v3",
    "custom.metrics.k8s.io",
    "external.metrics.k8s.io",
    "v1beta1",
    "v1beta2",
    "namespaces",
    "pods",
    "nodes",
    "deployments.apps",
    "metrics",
    "shop",
    "web-0",
    "go_goroutines",
    "*",
    "%2A",
    "%2f",
    "..",
    "%2e%2e",
    ".",
    "",
    "%ff",
    "%00",
    "a%20b",
    "ü",
];

fn path(random: &mut Random) -> String {
    let mut path = String::new();
    if !random.one_in(4) {
        let group = random.of(&["custom.metrics.k8s.io", "external.metrics.k8s.io"]);
        let version = random.of(&["v1beta1", "v1beta2"]);
        path = format!("/apis/{group}/{version}");
    }
    if !random.one_in(4) {
        path += "/namespaces/shop";
    }
    for _ in 0..random.next() % 5 {
        path.push('/');
        path += random.of(&PARTS);
    }
    path
}

#[test]
fn what_is_answered_is_what_the_right_was_asked_for() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut values, mut external) = (0, 0);
    for _ in 0..TEXTS {
        let path = path(&mut random);
        let verb = random.of(&["get", "post", "delete", "watch"]);
        let Some(request) = Request::of(ApiGroups::Both, verb, &path) else {
            assert!(path.contains('%') || path.contains('.'), "{path}");
            continue;
        };
        match (&request.asked, &request.access) {
            (
                Asked::Values(target),
                Access::Resource {
                    namespace,
                    resource,
                    name,
                    subresource,
                    group,
                    version,
                    ..
                },
            ) => {
                values += 1;
                assert_eq!(
                    (group.as_str(), version.as_str()),
                    ("custom.metrics.k8s.io", target.version.name())
                );
                let asked = target.name.as_deref().unwrap_or("*");
                if target.kind == ObjectKind::Namespace {
                    assert_eq!(
                        [namespace, resource, name],
                        [asked, "metrics", &target.metric],
                        "{path}"
                    );
                    continue;
                }
                let said = [resource.as_str(), name, subresource];
                assert_eq!(said, [&target.resource, asked, &target.metric], "{path}");
                // The autoscaler asks for nodes within its own namespace.
                assert!(
                    target.kind == ObjectKind::Node || *namespace == target.namespace,
                    "{path}"
                );
            }
            (
                Asked::External(of),
                Access::Resource {
                    namespace,
                    resource,
                    name,
                    group,
                    ..
                },
            ) => {
                external += 1;
                assert_eq!([namespace, resource], [&of.namespace, &of.metric], "{path}");
                assert_eq!(
                    [name.as_str(), group],
                    ["", "external.metrics.k8s.io"],
                    "{path}"
                );
            }
            (Asked::Values(_) | Asked::External(_), access) => panic!("{path}: {access:?}"),
            _ => {}
        }
    }
    assert!(
        values > 100 && external > 100,
        "{values} and {external} of {TEXTS}"
    );
}

const KEYS: [&str; 6] = ["app", "tier", "cores", "example.com/app", "in", "notin"];
const VALUES: [&str; 6] = ["", "shop", "web", "8", "-1", "in"];

/// A requirement as text, and whether these labels meet it, as Kubernetes defines it.
fn requirement(random: &mut Random, labels: &Labels) -> (String, bool) {
    let blank = |random: &mut Random| if random.one_in(3) { " " } else { "" };
    let key = random.of(&KEYS);
    let label = labels.get(key).map(String::as_str);
    let value = random.of(&VALUES[..4]);
    let (a, b) = (blank(random), blank(random));
    let number = label.and_then(|label| label.parse::<i64>().ok());
    match random.next() % 8 {
        0 => (key.to_owned(), label.is_some()),
        1 => (format!("!{a}{key}"), label.is_none()),
        2 => (format!("{key}{a}={b}{value}"), label == Some(value)),
        3 => (format!("{key}{a}=={b}{value}"), label == Some(value)),
        4 => (format!("{key}{a}!={b}{value}"), label != Some(value)),
        5 | 6 => {
            let values = [value, random.of(&VALUES[..4])];
            let one_of = label.is_some_and(|label| values.contains(&label));
            let list = format!("({a}{}{b},{a}{}{b})", values[0], values[1]);
            if random.one_in(2) {
                (format!("{key} in{a}{list}"), one_of)
            } else {
                (format!("{key} notin{a}{list}"), !one_of)
            }
        }
        _ => {
            let than = random.next() as i64 % 10;
            let above = number.is_some_and(|number| number > than);
            (format!("{key}{a}>{b}{than}"), above)
        }
    }
}

#[test]
fn selectors_select_as_they_are_meant() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut selected = 0;
    for _ in 0..TEXTS {
        let mut labels = Labels::new();
        for _ in 0..random.next() % 4 {
            labels.insert(random.of(&KEYS).to_owned(), random.of(&VALUES).to_owned());
        }
        let count = 1 + random.next() % 3;
        let all: Vec<_> = (0..count)
            .map(|_| requirement(&mut random, &labels))
            .collect();
        let text: Vec<_> = all.iter().map(|(text, _)| text.as_str()).collect();
        let text = text.join(random.of(&[",", " ,", ", "]));
        let meant = all.iter().all(|(_, met)| *met);
        let selector = Selector::parse(&text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(selector.matches(&labels), meant, "{text:?} of {labels:?}");
        let (of, rest) = selector.clone().split("app");
        assert_eq!(
            of.matches(&labels) && rest.matches(&labels),
            meant,
            "{text:?}"
        );
        selected += usize::from(meant);
    }
    assert!(selected > TEXTS / 20, "{selected} of {TEXTS}");
}

#[test]
fn whatever_is_sent_as_a_selector_is_read_or_refused() {
    let pieces = [
        "app",
        "in",
        "notin",
        "(",
        ")",
        ",",
        "=",
        "==",
        "!=",
        "!",
        ">",
        "<",
        " ",
        "a/b",
        "8",
        "ü",
        "\u{0}",
        "-",
        "9223372036854775808",
    ];
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..TEXTS {
        let text: String = (0..random.next() % 9).map(|_| random.of(&pieces)).collect();
        match Selector::parse(&text) {
            Ok(selector) => {
                read += 1;
                selector.matches(&Labels::new());
                // Blanks at its ends say nothing.
                let padded = Selector::parse(&format!(" {text} "));
                assert_eq!(padded.as_ref(), Ok(&selector), "{text:?}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        read > 100 && refused > 100,
        "{read} read, {refused} refused"
    );
}
