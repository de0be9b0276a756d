use std::path::Path;

use super::{ExclusionRules, Marks, Rule, pattern::Pattern};

fn rules(texts: &[&str]) -> ExclusionRules {
    let rule = |text: &&str| {
        text.parse::<Rule>()
            .unwrap_or_else(|e| panic!("{text}: {e}"))
    };
    ExclusionRules::new(texts.iter().map(rule).collect())
}

fn marks(pairs: &[(&str, &str)]) -> Marks {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(pair).collect()
}

#[test]
fn stars_end_at_a_slash_unless_there_are_two() {
    let cases: [(&str, &[&str], &[&str]); 8] = [
        ("/bin/a", &["/bin/a"], &["/bin/ab", "/bin/", "bin/a", ""]),
        ("/bin/*", &["/bin/a", "/bin/"], &["/bin/a/b", "/sbin/a"]),
        ("/opt/**", &["/opt/a", "/opt/a/b/c", "/opt/"], &["/opt"]),
        (
            "/opt/**/run",
            &["/opt/a/run", "/opt/a/b/run"],
            &["/opt/run", "/opt/a/runs"],
        ),
        ("**/criu", &["/usr/sbin/criu", "/criu"], &["criu", "/criu2"]),
        ("/a?c", &["/abc", "/a-c", "/aäc"], &["/a/c", "/ac", "/abbc"]),
        ("/a*b*c", &["/abc", "/axbxbc"], &["/axbx", "/ab/c"]),
        ("*", &["", "name"], &["/name"]),
    ];
    for (pattern, matching, others) in cases {
        let parsed = Pattern::parse(pattern).unwrap();
        for text in matching {
            assert!(parsed.matches(text), "{pattern} {text}");
        }
        for text in others {
            assert!(!parsed.matches(text), "{pattern} {text}");
        }
    }
}

#[test]
fn no_text_makes_a_pattern_take_long() {
    let pattern = Pattern::parse(&"*a".repeat(512)).unwrap();
    let began = std::time::Instant::now();
    assert!(!pattern.matches(&"a".repeat(4096).replace("aaaa", "aaab")));
    // Followed one way after the other, it would outlast the machine.
    assert!(began.elapsed() < std::time::Duration::from_secs(60));
}

#[test]
fn what_cannot_be_meant_says_what_was_expected() {
    for (text, expected) in [
        ("criu", "does not say what it excludes by"),
        ("", "does not say what it excludes by"),
        ("pod=a", "nothing is excluded by \"pod\""),
        ("path=", "begin with /"),
        ("path=bin/criu", "begin with /"),
        ("path=/bin/[ab]", "write ? for any one character"),
        ("path=/bin/{a,b}", "write ? for any one character"),
        ("namespace=", "the pattern is empty"),
        ("namespace=Kube", "none has 'K'"),
        ("namespace=a/b", "none has '/'"),
        ("label=", "is no key"),
        ("label=a b", "is no key"),
        ("label=app=a b", "is no label's value"),
        ("annotation=/x", "is no key"),
    ] {
        let error = text.parse::<Rule>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
        assert!(error.contains("path=/usr/sbin/criu"), "{text:?}: {error}");
    }
    let long = format!("path=/{}", "a".repeat(1024));
    let error = long.parse::<Rule>().unwrap_err().to_string();
    assert!(error.contains("longer than"), "{error}");
}

#[test]
fn a_rule_reads_as_it_was_written() {
    for text in [
        "path=/usr/**/criu",
        "namespace=kube-*",
        "label=app",
        "label=app.kubernetes.io/name=x",
        "label=empty=",
        "annotation=example.org/text=a = b",
    ] {
        assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
    }
}

#[test]
fn programs_are_excluded_by_their_paths() {
    let rules = rules(&["path=/usr/sbin/criu", "path=/opt/**", "label=app"]);
    let why = |path: &str| rules.path(Path::new(path));
    assert_eq!(
        why("/opt/x/y").as_deref(),
        Some("--exclude path=/opt/**"),
        "the rule is named"
    );
    assert!(why("/usr/sbin/criu").is_some());
    assert_eq!(why("/usr/sbin/crius"), None);
}

#[test]
fn pods_and_namespaces_are_excluded_by_what_they_bear_and_how_they_are_called() {
    let rules = rules(&[
        "namespace=kube-*",
        "label=team=payments",
        "annotation=example.org/self-checking",
    ]);
    let team = marks(&[("team", "payments")]);
    let other = marks(&[("team", "web"), ("example.org/self-checking", "")]);
    let pod = |labels, annotations| rules.pod(labels, annotations);
    assert!(pod(Some(&team), None).is_some_and(|why| why.contains("label=team=payments")));
    assert_eq!(pod(Some(&other), None), None, "an annotation is no label");
    assert_eq!(pod(None, Some(&team)), None, "a label is no annotation");
    assert!(pod(None, Some(&other)).is_some());

    let namespace = |name: &str| rules.namespace(name, None, None);
    assert_eq!(
        namespace("kube-system").as_deref(),
        Some("--exclude namespace=kube-*")
    );
    assert_eq!(namespace("shop"), None);
    assert_eq!(
        rules.of_kubernetes().unwrap().to_string(),
        "namespace=kube-*"
    );
}

#[test]
fn what_an_object_says_of_itself_needs_no_rule() {
    let none = ExclusionRules::default();
    let wish = marks(&[("go-observer.dev/observe", "false")]);
    for said in ["true", "False", "", "no"] {
        let said = marks(&[("go-observer.dev/observe", said)]);
        assert_eq!(none.pod(Some(&said), Some(&said)), None);
    }
    assert_eq!(
        none.pod(Some(&wish), None).as_deref(),
        Some("the pod's label go-observer.dev/observe: \"false\"")
    );
    assert_eq!(
        none.pod(None, Some(&wish)).as_deref(),
        Some("the pod's annotation go-observer.dev/observe: \"false\"")
    );
    assert_eq!(
        none.namespace("shop", None, Some(&wish)).as_deref(),
        Some("the namespace's annotation go-observer.dev/observe: \"false\"")
    );
}
