{{/* The CLIs find the operator by its name and by the label `name`, so neither can be chosen. */}}
{{- define "iofog-operator.labels" -}}
name: iofog-operator
app.kubernetes.io/name: iofog-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "iofog-operator.image" -}}
{{- with .Values.operator.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Of the release's control plane. */}}
{{- define "iofog-operator.flavor" -}}
{{- $flavor := .Values.controlplane.flavor | default (ternary "iofog" "pot" .Values.flavors.iofog) -}}
{{- if not (get .Values.flavors $flavor) }}
{{- fail (printf "controlplane.flavor is %s, which is off: set flavors.%s=true" $flavor $flavor) }}
{{- end }}
{{- $flavor }}
{{- end }}

{{- define "iofog-operator.group" -}}
{{- ternary "iofog.org" "datasance.com" (eq (include "iofog-operator.flavor" .) "iofog") }}
{{- end }}

{{/* As kubectl knows it, also where both have a ControlPlane. */}}
{{- define "iofog-operator.controlplane" -}}
{{- ternary "ecn" "pot" (eq (include "iofog-operator.flavor" .) "iofog") }}
{{- end }}

{{- define "iofog-operator.controlplane-name" -}}
{{- .Values.controlplane.name | default (include "iofog-operator.flavor" .) }}
{{- end }}
