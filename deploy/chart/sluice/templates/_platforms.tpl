{{/* SPDX-License-Identifier: GPL-2.0-or-later */}}
{{/* What `platform` decides where a value is left empty. */}}
{{- define "sluice.platforms" -}}
default:
  cniBinDir: /opt/cni/bin
  cniConfDir: /etc/cni/net.d
  netnsDirs: [/var/run/netns]
  apiServerPorts: [443, 6443]
  seLinuxOptions: {}
  resourceQuota: false
  securityContextConstraints: false
gke:
  cniBinDir: /home/kubernetes/bin
  resourceQuota: true
k3s:
  cniBinDir: /var/lib/rancher/k3s/data/cni
  cniConfDir: /var/lib/rancher/k3s/agent/etc/cni/net.d
k3d:
  cniBinDir: /bin
  cniConfDir: /var/lib/rancher/k3s/agent/etc/cni/net.d
microk8s:
  cniBinDir: /var/snap/microk8s/current/opt/cni/bin
  cniConfDir: /var/snap/microk8s/current/args/cni-network
  apiServerPorts: [443, 16443]
minikube:
  netnsDirs: [/var/run/netns, /var/run/docker/netns]
  apiServerPorts: [443, 8443]
# multus runs the primary network's configuration, which is not where CRI-O looks.
openshift:
  cniBinDir: /var/lib/cni/bin
  cniConfDir: /var/run/multus/cni/net.d
  seLinuxOptions: {type: spc_t}
  securityContextConstraints: true
# The usual directories, on overlays that can be written. Its namespaces are `baseline` unless
# labelled otherwise.
talos: {}
{{- end }}

{{/* One object: the platform's settings over the default ones, the user's over both. */}}
{{- define "sluice.node" -}}
{{- $platforms := include "sluice.platforms" . | fromYaml -}}
{{- $node := merge (dict) (get $platforms .Values.platform) $platforms.default -}}
{{- range $key := list "cniBinDir" "cniConfDir" "netnsDirs" "seLinuxOptions" }}
{{- with get $.Values $key }}{{ $_ := set $node $key . }}{{ end }}
{{- end }}
{{- with .Values.networkPolicy.apiServerPorts }}{{ $_ := set $node "apiServerPorts" . }}{{ end }}
{{- if kindIs "bool" .Values.resourceQuota.enabled }}
{{- $_ := set $node "resourceQuota" .Values.resourceQuota.enabled }}
{{- end }}
{{- if and (eq .Values.platform "openshift") (not (hasSuffix ".conflist" .Values.cniConfFile)) }}
{{- fail "platform openshift: cniConfFile has to name the primary network's .conflist; OVN-Kubernetes has none (docs/migration.md)" }}
{{- end }}
{{- toYaml $node }}
{{- end }}
