{{- /*
What the controller may do to the objects of the namespaces that it looks after. Each verb is used: a test takes each
away in turn and sees the controller refused (tests/deploy/test_rbac.py). What is always watched is never read one by
one; routes and workloads are, until the first list of them is in.
*/ -}}
{{- define "gamebird.rules" -}}
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list, watch, patch]
- apiGroups: [argoproj.io]
  resources: [rollouts/status]
  verbs: [update]
- apiGroups: [argoproj.io]
  resources: [analysistemplates]
  verbs: [list, watch]
- apiGroups: [argoproj.io]
  resources: [analysisruns]
  verbs: [list, watch, create, update, patch, delete]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: {{ if .Values.routers.nginx }}[list, watch, create, patch]{{ else }}[list, watch]{{ end }}
{{- if .Values.routers.gatewayAPI }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, update]
{{- end }}
{{- if .Values.routers.istio }}
- apiGroups: [networking.istio.io]
  resources: [virtualservices, destinationrules]
  verbs: [get, list, watch, update]
{{- end }}
{{- if .Values.workloads }}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [podtemplates]
  verbs: [get, list, watch]
{{- end }}
{{- if .Values.secrets.all }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- else if .Values.secrets.names }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ .Values.secrets.names | toJson }}
  verbs: [get]
{{- end }}
{{- end }}
