{{/* SPDX-License-Identifier: GPL-2.0-or-later */}}
{{- define "sluice.name" -}}
sluice-agent
{{- end }}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sluice
{{- end }}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of two releases in a cluster each has its own. */}}
{{- define "sluice.clusterName" -}}
{{ printf "%s-%s" (include "sluice.name" .) .Release.Namespace }}
{{- end }}

{{- define "sluice.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* Whether the agent reads and writes rules in pods. "" is false. */}}
{{- define "sluice.reconciles" -}}
{{- if and (ne .Values.repair.mode "off") (not .Values.uninstall) }}true{{ end -}}
{{- end }}

{{/* auto: field from Kubernetes 1.30 on. Not needed without reconciling. */}}
{{- define "sluice.appArmor" -}}
{{- $how := .Values.appArmorUnconfined -}}
{{- if not (include "sluice.reconciles" .) }}off
{{- else if ne $how "auto" }}{{ $how }}
{{- else if semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version }}field
{{- else }}annotation
{{- end -}}
{{- end }}

{{/* Each with its reason. YAML: a list. */}}
{{- define "sluice.capabilities" -}}
# The host's plugin and configuration directories may belong to somebody else.
- DAC_OVERRIDE
# The network configuration keeps the owner and the mode that its installer gave it.
- CHOWN
- FOWNER
{{- if include "sluice.reconciles" . }}
# setns() into a pod's network namespace.
- SYS_ADMIN
# Reading and writing netfilter rules, routes and addresses there.
- NET_ADMIN
# libiptc speaks to the kernel through a raw socket.
- NET_RAW
# /proc/PID/ns/net of processes that are not ours, where the runtime keeps no file of a namespace.
- SYS_PTRACE
{{- end }}
{{- end }}

{{/* On what a stopping agent needs to ask whether its DaemonSet is gone. Helm removes a release's
objects at once, and an agent without an answer leaves its entry in place. */}}
{{- define "sluice.goodbye" -}}
helm.sh/resource-policy: keep
{{- end }}

{{/* The pods' profiles as OpenShift names them: a list. */}}
{{- define "sluice.seccompProfiles" -}}
{{- $kind := .Values.seccompProfile.type -}}
{{- $profiles := list -}}
{{- if eq $kind "Localhost" }}{{ $profiles = append $profiles (printf "localhost/%s" .Values.seccompProfile.localhostProfile) }}
{{- else if eq $kind "Unconfined" }}{{ $profiles = append $profiles "unconfined" }}
{{- else }}{{ $profiles = append $profiles "runtime/default" }}
{{- end -}}
{{- if .Values.uninstall }}{{ $profiles = append $profiles "runtime/default" | uniq }}{{ end -}}
{{- toYaml $profiles }}
{{- end }}
