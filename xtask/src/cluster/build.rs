//! Builds Kubernetes and its helpers from their Go modules, once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
// With the release that the tests need anyway.
use observer_releases::GO;

use crate::{
    fixtures::hash,
    setup::{self, go},
    ui::{Step, step},
    workspace::Workspace,
};

/// 1.34 is the newest line whose kubelet still takes cgroup v1.
const VERSION: &str = "1.34.4";
const METRICS_SERVER: &str = "0.9.0";
/// Made for this line of Kubernetes.
const KUBE_STATE_METRICS: &str = "2.18.0";
/// The newest that this Go release builds.
const REFERENCE_ADAPTER: &str = "1.37.0";
const PROMETHEUS_ADAPTER: &str = "0.12.0";
const CERT_MANAGER: &str = "1.16.2";
const PROMETHEUS: &str = "3.15.1";
/// The same release: its module never left v0.
const PROMETHEUS_MODULE: &str = "0.315.1";
const PROGRAMS: [&str; 6] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];
/// Leaves out the cloud providers.
const TAGS: &str = "providerless";
/// The only discovery it needs.
const PROMETHEUS_TAGS: &str = "netgo,remove_all_sd,enable_kubernetes_sd";

/// Makes sure that Kubernetes is built.
pub(super) fn kubernetes(workspace: &Workspace) -> Result<()> {
    let to = directory(workspace);
    let title = format!("Kubernetes {VERSION}");
    if PROGRAMS.iter().all(|program| to.join(program).exists()) {
        return step(&title, |step| {
            step.note("already there");
            Ok(())
        });
    }
    go::toolchains(workspace, &[GO])?;
    step(&title, |step| {
        let module = module(workspace, step)?;
        let part = to.with_extension("part");
        fs::create_dir_all(&part)?;
        for (done, program) in PROGRAMS.iter().enumerate() {
            step.note(format!("{}/{}, {program}", done + 1, PROGRAMS.len()));
            let mut command = go_command(workspace, &module);
            command
                .args(["build", "-v", "-trimpath", "-tags", TAGS, "-ldflags"])
                .arg(linker_flags())
                .arg("-o")
                .arg(part.join(program))
                .arg(format!("k8s.io/kubernetes/cmd/{program}"));
            step.run(&mut command)?;
        }
        fs::remove_dir_all(&to).ok();
        fs::rename(&part, &to)
            .with_context(|| format!("cannot move {} to {}", part.display(), to.display()))?;
        step.note(to.display().to_string());
        Ok(())
    })
}

/// Where Kubernetes' binaries are, by everything that makes them differ.
pub(super) fn directory(workspace: &Workspace) -> PathBuf {
    let hash = hash::of(
        [VERSION, GO, TAGS, &linker_flags()]
            .iter()
            .chain(&PROGRAMS)
            .map(|part| part.as_bytes()),
    );
    binaries(workspace).join(format!("{VERSION}-{}", &hash[..12]))
}

/// Makes sure that Prometheus is built: Debian's finds no pods, Kubernetes'
/// discovery is left out of it.
pub(super) fn prometheus(workspace: &Workspace) -> Result<()> {
    let release = Release {
        title: format!("Prometheus {PROMETHEUS}"),
        module: format!("github.com/prometheus/prometheus@v{PROMETHEUS_MODULE}"),
        package: "./cmd/prometheus",
        tags: PROMETHEUS_TAGS,
        version: PROMETHEUS,
    };
    release.build(workspace, &prometheus_binary(workspace))
}

pub(super) fn prometheus_binary(workspace: &Workspace) -> PathBuf {
    binaries(workspace).join(format!("prometheus-{PROMETHEUS}-go{GO}"))
}

/// Makes sure that kube-state-metrics is built.
pub(super) fn kube_state_metrics(workspace: &Workspace) -> Result<()> {
    let release = Release {
        title: format!("kube-state-metrics {KUBE_STATE_METRICS}"),
        module: format!("k8s.io/kube-state-metrics/v2@v{KUBE_STATE_METRICS}"),
        package: ".",
        tags: "",
        version: KUBE_STATE_METRICS,
    };
    release.build(workspace, &kube_state_metrics_binary(workspace))
}

pub(super) fn kube_state_metrics_binary(workspace: &Workspace) -> PathBuf {
    binaries(workspace).join(format!("kube-state-metrics-{KUBE_STATE_METRICS}-go{GO}"))
}

/// A program that is built in its module's own directory, whose go.mod and
/// go.sum are the release's.
struct Release {
    title: String,
    module: String,
    package: &'static str,
    tags: &'static str,
    version: &'static str,
}

impl Release {
    /// Builds it, unless it is there.
    fn build(&self, workspace: &Workspace, binary: &Path) -> Result<()> {
        step(&self.title, |step| {
            if binary.exists() {
                step.note("already there");
                return Ok(());
            }
            go::toolchains(workspace, &[GO])?;
            step.note("fetching it");
            let module = download(workspace, step, &self.module)?;
            let version = self.version;
            let flags = format!("-s -w -X github.com/prometheus/common/version.Version={version}");
            let part = binary.with_extension("part");
            fs::create_dir_all(binaries(workspace))?;
            step.note("compiling");
            let mut command = go_command(workspace, &module);
            command
                .args(["build", "-v", "-trimpath", "-tags", self.tags])
                .args(["-ldflags", &flags, "-o"])
                .arg(&part)
                .arg(self.package);
            step.run(&mut command)?;
            fs::rename(&part, binary).with_context(|| format!("cannot write {}", binary.display()))
        })
    }
}

/// Makes sure that metrics-server is built.
pub(super) fn metrics_server(workspace: &Workspace) -> Result<PathBuf> {
    let package = "sigs.k8s.io/metrics-server/cmd/metrics-server";
    install(workspace, package, METRICS_SERVER)
}

pub(super) fn metrics_server_binary(workspace: &Workspace) -> PathBuf {
    installed(workspace, "metrics-server", METRICS_SERVER)
}

/// Makes sure that the reference library's own adapter is built.
pub(super) fn reference_adapter(workspace: &Workspace) -> Result<PathBuf> {
    let package = "sigs.k8s.io/custom-metrics-apiserver/test-adapter";
    install(workspace, package, REFERENCE_ADAPTER)
}

/// Makes sure that prometheus-adapter is built.
pub(super) fn prometheus_adapter(workspace: &Workspace) -> Result<PathBuf> {
    let binary = installed(workspace, "prometheus-adapter", PROMETHEUS_ADAPTER);
    step(
        &format!("prometheus-adapter {PROMETHEUS_ADAPTER}"),
        |step| {
            if binary.exists() {
                step.note("already there");
                return Ok(());
            }
            go::toolchains(workspace, &[GO])?;
            let module = format!("sigs.k8s.io/prometheus-adapter@v{PROMETHEUS_ADAPTER}");
            let module = download(workspace, step, &module)?;
            let part = binaries(workspace).join("prometheus-adapter.part");
            fs::create_dir_all(binary.parent().context("it lies in no directory")?)?;
            step.note("compiling");
            // In its own directory: proxies need not know which releases there are.
            let mut command = go_command(workspace, &module);
            command
                .args(["build", "-v", "-trimpath", "-ldflags", "-s -w", "-o"])
                .arg(&part)
                .arg("./cmd/adapter");
            step.run(&mut command)?;
            fs::rename(&part, &binary).with_context(|| format!("cannot write {}", binary.display()))
        },
    )?;
    Ok(binary)
}

/// Fetches the definitions of cert-manager's objects, which its module has.
pub(super) fn cert_manager_definitions(workspace: &Workspace) -> Result<PathBuf> {
    go::toolchains(workspace, &[GO])?;
    step(
        &format!("definitions of cert-manager {CERT_MANAGER}"),
        |step| {
            let module = format!("github.com/cert-manager/cert-manager@v{CERT_MANAGER}");
            Ok(download(workspace, step, &module)?.join("deploy/crds"))
        },
    )
}

/// Builds a program in a release, as `go install` does.
fn install(workspace: &Workspace, package: &str, version: &str) -> Result<PathBuf> {
    let name = package.rsplit('/').next().unwrap_or(package);
    let binary = installed(workspace, name, version);
    step(&format!("{name} {version}"), |step| {
        if binary.exists() {
            step.note("already there");
            return Ok(());
        }
        go::toolchains(workspace, &[GO])?;
        let part = binary.with_file_name("part");
        fs::create_dir_all(&part)?;
        step.note("compiling");
        let mut command = go_command(workspace, &part);
        command
            .args(["install", "-v", "-trimpath", "-ldflags", "-s -w"])
            .arg(format!("{package}@v{version}"))
            .env("GOBIN", &part);
        step.run(&mut command)?;
        fs::rename(part.join(name), &binary)
            .with_context(|| format!("Go has not built {}", binary.display()))?;
        fs::remove_dir_all(&part)?;
        Ok(())
    })?;
    Ok(binary)
}

fn installed(workspace: &Workspace, name: &str, version: &str) -> PathBuf {
    binaries(workspace)
        .join(format!("{name}-{version}-go{GO}"))
        .join(name)
}

fn binaries(workspace: &Workspace) -> PathBuf {
    workspace.cache.join("cluster/bin")
}

/// As the release build: without them components call themselves v0.0.0.
fn linker_flags() -> String {
    let package = "k8s.io/component-base/version";
    let mut parts = VERSION.split('.');
    let (major, minor) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    format!(
        "-s -w -X {package}.gitVersion=v{VERSION} -X {package}.gitMajor={major} \
         -X {package}.gitMinor={minor} -X {package}.gitTreeState=clean"
    )
}

/// Writes the module that the binaries are built from, and resolves it.
fn module(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    let module = workspace.cache.join(&format!("cluster/module-{VERSION}"));
    fs::create_dir_all(&module)?;
    step.note(format!("fetching k8s.io/kubernetes {VERSION}"));
    let theirs =
        download(workspace, step, &format!("k8s.io/kubernetes@v{VERSION}"))?.join("go.mod");
    let theirs =
        fs::read_to_string(&theirs).with_context(|| format!("cannot read {}", theirs.display()))?;
    fs::write(module.join("go.mod"), manifest(&theirs, VERSION)?)?;
    fs::write(module.join("programs.go"), imports(&PROGRAMS))?;
    step.note("go mod tidy");
    step.run(go_command(workspace, &module).args(["mod", "tidy"]))?;
    Ok(module)
}

/// Fetches a module and returns its directory in the module cache.
fn download(workspace: &Workspace, step: &Step, module: &str) -> Result<PathBuf> {
    // Outside any module.
    let mut command = go_command(workspace, workspace.cache.root());
    command.args(["mod", "download", "-json", module]);
    let answer: serde_json::Value = serde_json::from_str(&step.output(&mut command)?)
        .with_context(|| format!("`go mod download {module}` answered no JSON"))?;
    answer["Dir"]
        .as_str()
        .map(PathBuf::from)
        .with_context(|| format!("`go mod download {module}` names no directory"))
}

/// A `go.mod` for a module that builds Kubernetes' programs: its own replaces
/// the staging modules by directories of its repository, which the module
/// proxy serves as modules of their own under v0.
fn manifest(theirs: &str, version: &str) -> Result<String> {
    let staging: Vec<_> = theirs
        .lines()
        .filter_map(|line| line.trim().split_once(" => ./staging/"))
        .map(|(name, _)| format!("replace {name} => {name} v0{}", &version[1..]))
        .collect();
    ensure!(
        !staging.is_empty(),
        "the go.mod of k8s.io/kubernetes {version} replaces no staging module"
    );
    let kept: Vec<_> = theirs
        .lines()
        .filter(|line| line.starts_with("go ") || line.starts_with("godebug "))
        .collect();
    Ok(format!(
        "module cluster\n\n{}\n\nrequire k8s.io/kubernetes v{version}\n\n{}\n",
        kept.join("\n"),
        staging.join("\n")
    ))
}

/// Makes `go mod tidy` keep what the programs need. Programs cannot be
/// imported, so the file is never compiled.
fn imports(programs: &[&str]) -> String {
    let imports: Vec<_> = programs
        .iter()
        .map(|program| format!("import _ \"k8s.io/kubernetes/cmd/{program}\""))
        .collect();
    format!(
        "//go:build programs\n\npackage cluster\n\n{}\n",
        imports.join("\n")
    )
}

/// Go with the user's settings for fetching modules and none for building.
fn go_command(workspace: &Workspace, directory: &Path) -> Command {
    let root = setup::go::root(workspace, GO);
    let mut command = workspace.command("nice");
    command
        .arg(root.join("bin/go"))
        .current_dir(directory)
        .env("GOROOT", root)
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "")
        .env("GOWORK", "off")
        .env("GOPATH", workspace.cache.join("gopath"))
        .env("GOCACHE", workspace.cache.go_build())
        .env("CGO_ENABLED", "0");
    for name in ["GOOS", "GOARCH", "GOEXPERIMENT", "GOMODCACHE"] {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::manifest;

    #[test]
    fn staging_modules_come_from_the_proxy() {
        let theirs = "module k8s.io/kubernetes\n\ngo 1.24.0\n\ngodebug default=go1.24\n\nrequire (\n\tk8s.io/api v0.0.0\n)\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n";
        let ours = manifest(theirs, "1.34.4").unwrap();
        assert!(ours.contains("\nreplace k8s.io/api => k8s.io/api v0.34.4\n"));
        assert!(ours.contains("\ngodebug default=go1.24\n"));
        assert!(manifest("module k8s.io/kubernetes\n", "1.34.4").is_err());
    }
}
