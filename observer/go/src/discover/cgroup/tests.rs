use super::*;

const A: &str = "8c3de5b1e8a3e9f6c6b0a1d2f3e4c5b6a798081920a1b2c3d4e5f60718293a4b";
const B: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0";
const UID: &str = "2b801b7a-3a3c-4f0e-9b0a-77a6b3d1c0ee";
const UID_: &str = "2b801b7a_3a3c_4f0e_9b0a_77a6b3d1c0ee";
const HASH: &str = "b5a6c1f0e9d8c7b6a5948372615049f8";

/// `{A}`, `{B}`, `{UID}`, `{UID_}`, `{HASH}` stand for the constants.
fn fill(text: &str) -> String {
    [
        ("{A}", A),
        ("{B}", B),
        ("{UID}", UID),
        ("{UID_}", UID_),
        ("{HASH}", HASH),
    ]
    .iter()
    .fold(text.to_owned(), |text, (name, value)| {
        text.replace(name, value)
    })
}

/// Id, runtime, pod UID.
type Wanted = Option<(&'static str, Runtime, Option<&'static str>)>;

fn expect(rows: &[(&str, Wanted)]) {
    for (text, wanted) in rows {
        let wanted = wanted.map(|(id, runtime, pod)| Container {
            id: id.to_owned(),
            runtime,
            pod_uid: pod.map(str::to_owned),
        });
        assert_eq!(container(&fill(text)), wanted, "{text}");
    }
}

use Runtime::{Containerd, CriO, Docker, Podman, Unknown};

#[test]
fn pods_by_the_systemd_driver() {
    let pod = Some(UID);
    expect(&[
        (
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{A}.scope",
            Some((A, Containerd, pod)),
        ),
        (
            "0::/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{A}.scope",
            Some((A, Containerd, pod)),
        ),
        (
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/crio-{A}.scope",
            Some((A, CriO, pod)),
        ),
        // crun gives the container a cgroup below its scope.
        (
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/crio-{A}.scope/container",
            Some((A, CriO, pod)),
        ),
        (
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-conmon-{A}.scope",
            None,
        ),
        (
            "11:memory:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/docker-{A}.scope\n1:name=systemd:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/docker-{A}.scope",
            Some((A, Docker, pod)),
        ),
        // A static pod: the kubelet makes its UID from the manifest.
        (
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{HASH}.slice/cri-containerd-{A}.scope",
            Some((A, Containerd, Some(HASH))),
        ),
        // containerd without SystemdCgroup below a kubelet with it.
        (
            "0::/kubelet.slice/system.slice/containerd.service/kubepods-burstable-pod{UID_}.slice:cri-containerd:{A}",
            Some((A, Containerd, pod)),
        ),
        (
            "5:cpu,cpuacct:/system.slice/containerd.service/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{A}",
            Some((A, Containerd, pod)),
        ),
        (
            "0::/kubepods.slice/kubepods-pod{UID_}.slice:crio:{A}",
            Some((A, CriO, pod)),
        ),
        // The pod's own cgroup holds no container.
        ("0::/kubepods.slice/kubepods-pod{UID_}.slice", None),
    ]);
}

#[test]
fn pods_by_the_cgroupfs_driver() {
    let pod = Some(UID);
    expect(&[
        (
            "0::/kubepods/burstable/pod{UID}/{A}",
            Some((A, Unknown, pod)),
        ),
        (
            "0::/kubepods/besteffort/pod{UID}/{A}",
            Some((A, Unknown, pod)),
        ),
        ("0::/kubepods/pod{UID}/{A}", Some((A, Unknown, pod))),
        ("0::/kubepods/pod{HASH}/{A}", Some((A, Unknown, Some(HASH)))),
        (
            "0::/kubepods/burstable/pod{UID}/crio-{A}",
            Some((A, CriO, pod)),
        ),
        ("0::/kubepods/burstable/pod{UID}/crio-conmon-{A}", None),
        ("0::/k8s.io/{A}", Some((A, Containerd, None))),
        (
            "4:memory:/kubepods/burstable/pod{UID}/{A}\n0::/",
            Some((A, Unknown, pod)),
        ),
    ]);
}

#[test]
fn engines_without_kubernetes() {
    expect(&[
        ("0::/system.slice/docker-{A}.scope", Some((A, Docker, None))),
        ("0::/docker/{A}", Some((A, Docker, None))),
        ("0::/docker/{A}/init.scope", Some((A, Docker, None))),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope",
            Some((A, Docker, None)),
        ),
        (
            "0::/machine.slice/libpod-{A}.scope",
            Some((A, Podman, None)),
        ),
        (
            "0::/machine.slice/libpod-{A}.scope/container",
            Some((A, Podman, None)),
        ),
        ("0::/machine.slice/libpod-conmon-{A}.scope", None),
        (
            "0::/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope",
            Some((A, Podman, None)),
        ),
        ("0::/libpod_parent/libpod-{A}", Some((A, Podman, None))),
        ("0::/libpod_parent/libpod-conmon-{A}", None),
        ("0::/libpod_parent/{A}", Some((A, Podman, None))),
        (
            "0::/system.slice/web.service/libpod-payload-{A}",
            Some((A, Podman, None)),
        ),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container",
            Some((A, Podman, None)),
        ),
        (
            "0::/system.slice/nerdctl-{A}.scope",
            Some((A, Containerd, None)),
        ),
        ("0::/default/{A}", Some((A, Containerd, None))),
        ("0::/default/web-1", Some(("web-1", Containerd, None))),
        (
            "9:memory:/k8s.io/probe.test_2\n0::/",
            Some(("probe.test_2", Containerd, None)),
        ),
        // Amazon ECS: the engine is below a parent of its own.
        (
            "4:memory:/ecs/5e1cb3a5b5a24b4e8f1e1f3a5b5a24b4/{A}",
            Some((A, Unknown, None)),
        ),
    ]);
}

#[test]
fn version_1_and_hybrid() {
    let hybrid = "12:pids:/kubepods/burstable/pod{UID}/{A}\n11:cpu,cpuacct:/kubepods/burstable/pod{UID}/{A}\n1:name=systemd:/kubepods/burstable/pod{UID}/{A}\n0::/system.slice/containerd.service";
    expect(&[
        (hybrid, Some((A, Unknown, Some(UID)))),
        // A controller that the engine does not use stays at the root.
        (
            "13:misc:/\n12:memory:/docker/{A}\n2:rdma:/\n0::/",
            Some((A, Docker, None)),
        ),
        (
            "3:cpuset:/docker/{A}\n1:name=systemd:/docker/{A}/docker/{B}",
            Some((A, Docker, None)),
        ),
        (
            "1:name=systemd:/docker/{A}\n3:cpuset:/",
            Some((A, Docker, None)),
        ),
        (
            "3:cpuset:/docker/{A}\n1:name=systemd:/kubepods/pod{UID}/{B}",
            Some((B, Unknown, Some(UID))),
        ),
        (
            "3:cpu:/docker/{A}\n4:memory:/docker/{B}",
            Some((A, Docker, None)),
        ),
    ]);
}

#[test]
fn nested() {
    let pod = Some(UID);
    expect(&[
        // systemd inside a container.
        (
            "0::/system.slice/docker-{A}.scope/system.slice/nginx.service",
            Some((A, Docker, None)),
        ),
        (
            "0::/docker/{A}/system.slice/containerd.service",
            Some((A, Docker, None)),
        ),
        // Docker in Docker.
        ("0::/docker/{A}/docker/{B}", Some((B, Docker, None))),
        // Docker in a pod: the pod is the one around it.
        (
            "0::/kubepods/burstable/pod{UID}/{A}/docker/{B}",
            Some((B, Docker, pod)),
        ),
        // kind: a node is a container, and its pods are within.
        (
            "0::/system.slice/docker-{B}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{UID_}.slice/cri-containerd-{A}.scope",
            Some((A, Containerd, pod)),
        ),
        (
            "0::/docker/{B}/kubelet/kubepods/besteffort/pod{UID}/{A}",
            Some((A, Unknown, pod)),
        ),
        // A kubelet with a cgroup root of its own.
        (
            "4:memory:/node-b/kubepods/burstable/pod{UID}/{A}\n0::/",
            Some((A, Unknown, pod)),
        ),
        (
            "0::/node-b/kubepods/burstable/pod{UID}/{A}",
            Some((A, Unknown, pod)),
        ),
        (
            "0::/node.slice/node-b.slice/node-b-kubepods.slice/node-b-kubepods-pod{UID_}.slice/crio-{A}.scope",
            Some((A, CriO, pod)),
        ),
        // A pod's own cgroup does not enclose the node's container.
        (
            "0::/docker/{B}/kubelet/kubepods/besteffort/pod{UID}",
            Some((B, Docker, None)),
        ),
    ]);
}

#[test]
fn seen_from_a_cgroup_namespace() {
    let pod = Some(UID);
    expect(&[
        (
            "0::/../../kubepods-besteffort-pod{UID_}.slice/cri-containerd-{A}.scope",
            Some((A, Containerd, pod)),
        ),
        ("0::/../../pod{UID}/{A}", Some((A, Unknown, pod))),
        (
            "0::/../../../node-b/kubepods/pod{UID}/{A}",
            Some((A, Unknown, pod)),
        ),
        (
            "4:memory:/../../burstable/pod{UID}/{A}\n0::/",
            Some((A, Unknown, pod)),
        ),
        (
            "0::/../../../burstable/pod{UID}/{A}",
            Some((A, Unknown, pod)),
        ),
        // A neighbour in the observer's own pod.
        (
            "0::/../cri-containerd-{A}.scope",
            Some((A, Containerd, None)),
        ),
        ("0::/../{A}", Some((A, Unknown, None))),
        ("0::/../../../..", None),
        ("0::/../../../../init.scope", None),
        ("0::/../../default/web", None),
        ("0::/", None),
    ]);
}

#[test]
fn not_in_a_container() {
    expect(&[
        ("", None),
        ("nonsense\n\n::::\n0:", None),
        ("0::/init.scope", None),
        ("0::/system.slice/containerd.service", None),
        ("0::/user.slice/user-1000.slice/session-3.scope", None),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-code-4821.scope",
            None,
        ),
        // Podman's health check, a runtime's mount, BuildKit's worker.
        ("0::/system.slice/{A}.service", None),
        (
            "0::/system.slice/var-lib-docker-containers-{A}-mounts-shm.mount",
            None,
        ),
        (
            "0::/system.slice/docker.service/docker/buildkit/q5whu1d0v3k9z5k1m2n3b4v5c",
            None,
        ),
        ("0::/lxc.payload.web/system.slice/ssh.service", None),
        ("0::/machine.slice/systemd-nspawn@web.service/payload", None),
        ("4:memory:/process_api/{HASH}\n0::/", None),
        // Not quite ids.
        ("0::/docker/{A}0", None),
        ("0::/system.slice/docker-8C3DE5B1.scope", None),
        ("0::/default/web/worker", None),
        ("0::/default/-web", None),
        ("0::/default/web.service", None),
        ("0::/defaults/web", None),
        ("0::/kubepods/pod{UID}", None),
    ]);
}

#[test]
fn a_removed_cgroup_names_its_container_still() {
    expect(&[("0::/docker/{A} (deleted)", Some((A, Docker, None)))]);
    assert_eq!(unified("0::/a (deleted)\n"), None);
    assert_eq!(unified("4:memory:/b\n0::/a:b\n"), Some("/a:b"));
    assert_eq!(unified("4:memory:/b\n"), None);
}
