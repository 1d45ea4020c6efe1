# SPDX-License-Identifier: GPL-2.0-or-later
"""Pods as an API server stores them: with all that the agent must not keep."""
import json
import uuid

STATUS = json.dumps({"initContainers": ["istio-validation"], "containers": ["istio-proxy"],
                     "volumes": ["workload-socket", "istio-envoy", "istio-data", "istio-token"],
                     "imagePullSecrets": None, "revision": "default"})

PROXY_ENV = [
    ("PILOT_CERT_PROVIDER", "istiod"), ("CA_ADDR", "istiod.istio-system.svc:15012"),
    ("PROXY_CONFIG", "{}\n"), ("ISTIO_META_POD_PORTS", '[\n    {"containerPort":8080}\n]'),
    ("ISTIO_META_APP_CONTAINERS", "app"), ("ISTIO_META_CLUSTER_ID", "Kubernetes"),
    ("ISTIO_META_INTERCEPTION_MODE", "REDIRECT"), ("ISTIO_META_WORKLOAD_NAME", "web"),
    ("ISTIO_META_OWNER", "kubernetes://apis/apps/v1/namespaces/demo/deployments/web"),
    ("ISTIO_META_MESH_ID", "cluster.local"), ("TRUST_DOMAIN", "cluster.local")]


def _field(path: str) -> dict:
    return {"name": path.rsplit(".", 1)[-1].upper(),
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _proxy(env: dict, security: dict) -> dict:
    variables = [{"name": name, "value": value} for name, value in PROXY_ENV]
    variables += [_field(path) for path in
                  ("metadata.name", "metadata.namespace", "status.podIP", "spec.serviceAccountName",
                   "status.hostIP")]
    variables += [{"name": name, "value": value} for name, value in env.items()]
    return {"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.26.1",
            "imagePullPolicy": "IfNotPresent",
            "args": ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local",
                     "--proxyLogLevel=warning", "--proxyComponentLogLevel=misc:error",
                     "--log_output_level=default:info"],
            "env": variables,
            "ports": [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}],
            "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021,
                                           "scheme": "HTTP"}, "periodSeconds": 15},
            "resources": {"limits": {"cpu": "2", "memory": "1Gi"},
                          "requests": {"cpu": "100m", "memory": "128Mi"}},
            "securityContext": {"allowPrivilegeEscalation": False, "privileged": False,
                                "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
                                "readOnlyRootFilesystem": True, **security},
            "volumeMounts": [{"mountPath": f"/var/run/secrets/{name}", "name": name}
                             for name in ("workload-socket", "istiod-ca-cert", "istio-data",
                                          "istio-envoy", "istio-token", "istio-podinfo")]}


def _managed_fields() -> list:
    fields = {f"k:{{\"name\":\"VARIABLE_{i}\"}}": {".": {}, "f:name": {}, "f:value": {}}
              for i in range(60)}
    return [{"manager": manager, "operation": "Update", "apiVersion": "v1",
             "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
             "fieldsV1": {"f:spec": {"f:containers": {'k:{"name":"app"}': {"f:env": fields}}}}}
            for manager in ("kube-controller-manager", "kubelet")]


def _containers(injected: bool, env: dict, security: dict) -> list:
    app = {"name": "app", "image": "registry.example/team/app:1.2.3",
           "env": [{"name": f"SETTING_{i}", "value": "v" * 40} for i in range(30)],
           "volumeMounts": [{"mountPath": "/data", "name": "data"}], "resources": {}}
    return [app, _proxy(env, security)] if injected else [app]


def _state(name: str, exit_code: int | None) -> dict:
    state = {"running": {"startedAt": "2026-01-01T00:00:05Z"}}
    if exit_code is not None:
        state = {"terminated": {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed",
                                "containerID": "containerd://" + "e" * 64}}
    return {"name": name, "image": "registry.example/team/app:1.2.3", "imageID": "sha256:" + "a" * 64,
            "containerID": "containerd://" + "c" * 64, "ready": True, "restartCount": 0,
            "started": True, "lastState": {}, "state": state}


def pod_object(name: str, namespace: str = "demo", node: str = "node-1", uid: str | None = None,
               addresses: tuple = ("10.1.0.5",), injected: bool = True,
               annotations: dict | None = None, labels: dict | None = None, env: dict | None = None,
               security: dict | None = None, host_network: bool = False, phase: str = "Running",
               validation_exit: int | None = None) -> dict:
    """A v1.Pod of about 15 KB. `annotations` and `labels` are added to the usual ones; `env` and
    `security` to those of istio-proxy; `validation_exit` is the exit code of istio-validation."""
    known = {"kubectl.kubernetes.io/last-applied-configuration": "{" + "x" * 1500 + "}",
             "prometheus.io/scrape": "true", "kubectl.kubernetes.io/default-container": "app"}
    if injected:
        known["sidecar.istio.io/status"] = STATUS
    pod = {
        "metadata": {
            "name": name, "namespace": namespace, "uid": uid or str(uuid.uuid4()),
            "creationTimestamp": "2026-01-01T00:00:00Z", "generateName": "web-7d4b9c6f5-",
            "annotations": {**known, **(annotations or {})},
            "labels": {"app": "web", "pod-template-hash": "7d4b9c6f5", **(labels or {})},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True,
                                 "name": "web-7d4b9c6f5", "uid": str(uuid.uuid4())}],
            "managedFields": _managed_fields()},
        "spec": {
            "nodeName": node, "restartPolicy": "Always", "serviceAccountName": "default",
            "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "securityContext": {},
            "containers": _containers(injected, env or {}, security or {"runAsUser": 1337,
                                                                       "runAsGroup": 1337}),
            "tolerations": [{"key": f"node.kubernetes.io/{key}", "operator": "Exists",
                             "effect": "NoExecute", "tolerationSeconds": 300}
                            for key in ("not-ready", "unreachable")],
            "volumes": [{"name": f"kube-api-access-{i}", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]}}
                for i in range(6)]},
        "status": {
            "phase": phase, "hostIP": "192.0.2.1", "qosClass": "Burstable",
            "startTime": "2026-01-01T00:00:01Z",
            "conditions": [{"type": kind, "status": "True", "lastProbeTime": None,
                            "lastTransitionTime": "2026-01-01T00:00:06Z"}
                           for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")],
            "containerStatuses": [_state("app", None)]}}
    if injected:
        pod["spec"]["initContainers"] = [{"name": "istio-validation", "args": ["istio-iptables"],
                                          "image": "docker.io/istio/proxyv2:1.26.1"}]
        pod["status"]["containerStatuses"].append(_state("istio-proxy", None))
        exit_code = 0 if validation_exit is None else validation_exit
        pod["status"]["initContainerStatuses"] = [_state("istio-validation", exit_code)]
    if host_network:
        pod["spec"]["hostNetwork"] = True
    if addresses:
        pod["status"]["podIP"] = addresses[0]
        pod["status"]["podIPs"] = [{"ip": address} for address in addresses]
    return pod
