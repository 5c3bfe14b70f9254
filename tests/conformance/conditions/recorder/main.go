// Recorder answers conditions with the expression engine that Argo Rollouts embeds, so that anybody can make
// more recordings, or try a condition that Gamebird answers differently.
//
// It reads lines of {"condition": …, "result": …, "provider": "prometheus" | "web"} and writes each with
// "outcome" ("true", "false", "error") and, for errors, "message". "NaN", "+Inf" and "-Inf" in a result of
// Prometheus stand for the numbers. The engine comes from its own module; only the environment (the names that
// a condition may use, and their types) is set up here, as Argo Rollouts documents it.
//
//	go run . < cases.jsonl > recorded.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
)

type line struct {
	Condition string `json:"condition"`
	Result    any    `json:"result"`
	Provider  string `json:"provider,omitempty"`
	Outcome   string `json:"outcome"`
	Message   string `json:"message,omitempty"`
}

var special = map[string]float64{"NaN": math.NaN(), "+Inf": math.Inf(1), "-Inf": math.Inf(-1)}

func number(x any) (float64, bool) {
	switch v := x.(type) {
	case float64:
		return v, true
	case string:
		f, ok := special[v]
		return f, ok
	}
	return 0, false
}

// asProvided gives a result the type that the provider gives it: a vector of Prometheus is a list of floats.
func asProvided(provider string, x any) any {
	if provider == "web" {
		return x
	}
	if list, ok := x.([]any); ok {
		floats := make([]float64, len(list))
		for i, item := range list {
			f, ok := number(item)
			if !ok {
				panic(fmt.Sprintf("%v is no number", item))
			}
			floats[i] = f
		}
		return floats
	}
	if f, ok := number(x); ok {
		return f
	}
	return x
}

func integer(x any) int64 {
	switch v := x.(type) {
	case float64:
		return int64(v)
	case int:
		return int64(v)
	case int64:
		return v
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	panic(fmt.Sprintf("asInt() not supported on %T %v", x, x))
}

func float(x any) float64 {
	switch v := x.(type) {
	case float64:
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case string:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			panic(err)
		}
		return f
	}
	panic(fmt.Sprintf("asFloat() not supported on %T %v", x, x))
}

func evaluate(condition string, result any) (bool, error) {
	env := map[string]any{
		"result":  result,
		"asInt":   integer,
		"asFloat": float,
		"isNaN":   math.IsNaN,
		"isInf":   func(f float64) bool { return math.IsInf(f, 0) },
		"isNil":   func(any) bool { return result == nil },
		"default": func(_, other any) any {
			if result == nil {
				return other
			}
			return result
		},
	}
	program, err := expr.Compile(condition, expr.Env(env))
	if err != nil {
		return false, err
	}
	out, err := expr.Run(program, env)
	if err != nil {
		return false, err
	}
	truth, ok := out.(bool)
	if !ok {
		return false, fmt.Errorf("expected bool, but got %T", out)
	}
	return truth, nil
}

func answer(l *line) {
	defer func() {
		if r := recover(); r != nil {
			l.Outcome, l.Message = "error", fmt.Sprint(r)
		}
	}()
	truth, err := evaluate(l.Condition, asProvided(l.Provider, l.Result))
	if err == nil {
		l.Outcome = strconv.FormatBool(truth)
		return
	}
	l.Outcome, l.Message = "error", err.Error()
	var placed *file.Error
	if errors.As(err, &placed) {
		l.Message = placed.Message
	}
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<26)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for in.Scan() {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		answer(&l)
		if err := out.Encode(l); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
}
