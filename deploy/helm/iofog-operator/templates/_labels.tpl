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
