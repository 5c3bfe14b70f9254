// Record plays scenarios and writes what the controllers did: go run ./cmd/record scenarios.json played.json
package main

import (
	"encoding/json"
	"io"
	"os"

	log "github.com/sirupsen/logrus"
	"k8s.io/klog/v2"

	"github.com/argoproj/argo-rollouts/rollout"
)

func main() {
	log.SetOutput(io.Discard)
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var scenarios []json.RawMessage
	if err := json.Unmarshal(data, &scenarios); err != nil {
		panic(err)
	}
	outs := []any{}
	for _, s := range scenarios {
		outs = append(outs, rollout.Play(s))
	}
	out, err := json.Marshal(outs)
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(os.Args[2], out, 0o644); err != nil {
		panic(err)
	}
}
