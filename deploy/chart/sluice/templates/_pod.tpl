{{/* SPDX-License-Identifier: GPL-2.0-or-later */}}
{{/* Ours over the user's, except where the user may know better: no key stands twice. */}}
{{- define "sluice.podLabels" -}}
{{- $labels := include "sluice.selector" . | fromYaml -}}
{{/* Istio's injector leaves it alone by the label, earlier ones by the annotation. */}}
{{- $_ := set $labels "sidecar.istio.io/inject" "false" -}}
{{- if .Values.istioLabels }}{{ $_ := set $labels "k8s-app" "istio-cni-node" }}{{ end -}}
{{- merge $labels .Values.podLabels | toYaml }}
{{- end }}

{{- define "sluice.podAnnotations" -}}
{{- $ours := dict "sidecar.istio.io/inject" "false" -}}
{{/* Another entry is another pod. */}}
{{- $_ := set $ours "checksum/config" (.Values.plugin | toJson | sha256sum) -}}
{{- if eq (include "sluice.appArmor" .) "annotation" -}}
{{- $key := printf "container.apparmor.security.beta.kubernetes.io/%s" (include "sluice.name" .) -}}
{{- $_ := set $ours $key "unconfined" -}}
{{- end -}}
{{- $port := dict -}}
{{- if hasKey .Values.podAnnotations "prometheus.io/scrape" -}}
{{- $_ := set $port "prometheus.io/port" (.Values.httpPort | toString) -}}
{{- end -}}
{{- merge $ours .Values.podAnnotations $port | toYaml }}
{{- end }}
