{{- define "gamebird.name" -}}
{{- if contains "gamebird" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-gamebird" (.Release.Name | trunc 43 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "gamebird.serviceAccount" -}}
{{- if .Values.serviceAccount.name }}{{ .Values.serviceAccount.name }}{{ else if .Values.serviceAccount.create }}{{ include "gamebird.name" . }}{{ else }}default{{ end }}
{{- end }}

{{- define "gamebird.selector" -}}
app.kubernetes.io/name: gamebird
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gamebird.labels" -}}
{{ include "gamebird.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: controller
app.kubernetes.io/part-of: gamebird
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "gamebird.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* The lease is kept where the controller works: in its one namespace, or in that of the release. */ -}}
{{- define "gamebird.leaseNamespace" -}}
{{- .Values.controller.namespace | default .Release.Namespace }}
{{- end }}

{{- define "gamebird.leaseName" -}}
{{- if .Values.controller.instanceId }}{{ printf "gamebird-controller-%s" .Values.controller.instanceId }}{{ else }}gamebird-controller{{ end }}
{{- end }}
