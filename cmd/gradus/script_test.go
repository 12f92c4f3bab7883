package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// endsWith runs a command and checks its exit code:
//
//	code 3 gradus grade -q set/question answer.txt
func endsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command ...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	got := 0
	switch {
	case err == nil:
	case errors.As(err, &exit):
		got = exit.ExitCode()
	default:
		ts.Fatalf("run %s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d\nstderr: %s", strings.Join(args[1:], " "), got, want, ts.ReadFile("stderr"))
	}
}

// playRedis starts a Redis of the script's own and sets REDIS_URL to it.
func playRedis(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) > 0 {
			ts.Fatalf("usage: redis")
		}
		ts.Setenv("REDIS_URL", storetest.Start(t).URL())
	}
}

// withKeyOf runs a command with the id of a tenant's key in place of ID:
//
//	withid acme exec gradus keys revoke ID
func withKeyOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[1] != "exec" {
		ts.Fatalf("usage: withid TENANT exec command ...")
	}
	ts.Check(ts.Exec("gradus", "keys", "list", "--json"))
	var keys []struct{ ID, Tenant string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &keys))
	at := slices.IndexFunc(keys, func(k struct{ ID, Tenant string }) bool { return k.Tenant == args[0] })
	if at < 0 {
		ts.Fatalf("no key of tenant %s", args[0])
	}
	command := slices.Clone(args[2:])
	for i := range command {
		if command[i] == "ID" {
			command[i] = keys[at].ID
		}
	}
	ts.Check(ts.Exec(command[0], command[1:]...))
}

// playModel starts a model that answers every request in one way, and sets
// OPENAI_BASE_URL to it:
//
//	model generous QUOTE    every criterion met, proven by QUOTE
//	model drafts            five criteria, for whatever is asked
//	model down              503 to everything
//	model refuses           a refusal
//	model two               like down, and lists two models
func playModel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: model generous QUOTE | drafts | down | refuses | two")
	}
	var calls atomic.Int32
	mux := http.NewServeMux()
	models := []string{"test-model"}
	if args[0] == "two" {
		models = append(models, "other-model")
	}
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		var list struct {
			Data []map[string]string `json:"data"`
		}
		for _, m := range models {
			list.Data = append(list.Data, map[string]string{"id": m, "object": "model"})
		}
		_ = json.NewEncoder(w).Encode(list) // the program sees what is missing
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		message := map[string]any{"role": "assistant"}
		switch args[0] {
		case "generous":
			message["content"] = generousReply(r, args[1])
		case "drafts":
			message["content"] = draftedReply
		case "refuses":
			message["refusal"] = "I would rather not."
		default:
			w.Header().Set("Retry-After", "30")
			http.Error(w, `{"error":{"message":"overloaded"}}`, http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"model":   "test-model",
			"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": "stop"}},
			"usage":   map[string]int{"prompt_tokens": 700, "completion_tokens": 200},
		})
	})
	server := httptest.NewServer(mux)
	ts.Defer(server.Close)
	ts.Setenv("OPENAI_BASE_URL", server.URL+"/v1")
}

// draftedReply is five criteria of no question in particular.
var draftedReply = func() string {
	var entries []string
	for i, about := range []string{"the doughs", "the ovens", "the people", "the heat", "the salt"} {
		entries = append(entries, fmt.Sprintf(`{"statement":"Names %[2]s","kind":"core","weight":%[1]d,"partial":"Hints at %[2]s.","hint":"Name %[2]s.","signal":"none",`+
			`"phrases":["%[2]s come first","I look at %[2]s","we share %[2]s"]}`, 10+i, about))
	}
	return `{"criteria":[` + strings.Join(entries, ",") + `]}`
}()

// generousReply meets every criterion that the reply schema names.
func generousReply(r *http.Request, quote string) string {
	var request struct {
		ResponseFormat struct {
			JSONSchema struct {
				Schema struct {
					Properties struct {
						Criteria struct {
							Items struct {
								Properties struct {
									ID struct {
										Enum []string `json:"enum"`
									} `json:"id"`
								} `json:"properties"`
							} `json:"items"`
						} `json:"criteria"`
					} `json:"properties"`
				} `json:"schema"`
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return fmt.Sprint(err)
	}
	type verdict struct {
		ID         string   `json:"id"`
		Evidence   []string `json:"evidence"`
		Compare    string   `json:"compare"`
		Verdict    string   `json:"verdict"`
		Confidence int      `json:"confidence"`
	}
	var reply struct {
		Criteria []verdict `json:"criteria"`
	}
	for _, id := range request.ResponseFormat.JSONSchema.Schema.Properties.Criteria.Items.Properties.ID.Enum {
		reply.Criteria = append(reply.Criteria, verdict{id, []string{quote}, "", "met", 95})
	}
	text, err := json.Marshal(reply)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(text)
}
