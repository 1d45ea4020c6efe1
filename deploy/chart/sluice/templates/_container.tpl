{{/* SPDX-License-Identifier: GPL-2.0-or-later */}}
{{/* What the agent's container is allowed and sees, whether it installs or uninstalls. */}}
{{- define "sluice.container" -}}
{{- $node := include "sluice.node" . | fromYaml -}}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  privileged: false
  {{- if include "sluice.reconciles" . }}
  # allowPrivilegeEscalation: with SYS_ADMIN Kubernetes documents it as true and may one day refuse
  # false. No file of the image is setuid.
  {{- else }}
  allowPrivilegeEscalation: false
  {{- end }}
  readOnlyRootFilesystem: true
  # The host's CNI directories are root's, and the plugin speaks to root's socket alone.
  runAsUser: 0
  runAsGroup: 0
  runAsNonRoot: false
  capabilities:
    drop: [ALL]
    add:
    {{- include "sluice.capabilities" . | nindent 4 }}
  seccompProfile:
    {{- toYaml .Values.seccompProfile | nindent 4 }}
  {{- if eq (include "sluice.appArmor" .) "field" }}
  appArmorProfile: { type: Unconfined }
  {{- end }}
  {{- with $node.seLinuxOptions }}
  seLinuxOptions:
    {{- toYaml . | nindent 4 }}
  {{- end }}
volumeMounts:
- { name: cni-bin, mountPath: /host/opt/cni/bin }
- { name: cni-conf, mountPath: /host/etc/cni/net.d }
{{- if not .Values.uninstall }}
- { name: run, mountPath: /run/sluice }
- { name: config, mountPath: /etc/sluice, readOnly: true }
- { name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
{{- end }}
{{- if include "sluice.reconciles" . }}
{{- range $index, $_ := $node.netnsDirs }}
# Namespaces that the runtime makes later are to be seen, too.
- { name: netns-{{ $index }}, mountPath: /host/netns/{{ $index }}, readOnly: true, mountPropagation: HostToContainer }
{{- end }}
- { name: proc, mountPath: /host/proc, readOnly: true }
{{- end }}
{{- end }}
