// Package llmtest plays a model for tests: a real HTTP server that speaks the
// chat-completions API from a script, one step a request, in order of arrival.
// It knows nothing of rubrics or grades, and nothing of the client under test.
//
// A script in the words of the test:
//
//	model := llmtest.New(t,
//		llmtest.Status(429, "1"),                        // rate limited, Retry-After: 1
//		llmtest.Reply(`{"criteria":[]}`),                // then an answer
//	)
//	client, err := openai.New(openai.Config{BaseURL: model.URL, Model: "m"})
//	...
//	require.Len(t, model.Requests(), 2)
//	require.Contains(t, model.Requests()[1].Last(), "answer")
//
// The test fails when steps are left over at its end, and when a request
// arrives that no step was written for. Where every request gets the same
// treatment, or the reply depends on what was asked, there is Always:
//
//	model := llmtest.New(t, llmtest.Always(func(r llmtest.Request) llmtest.Step {
//		return llmtest.Reply(verdictsFor(r.Last()))
//	}))
//
// Always must be the last step and may be used any number of times, none
// included; Func does the same for a single request, Step.Times for n.
//
// To meet a request half-way without sleeping, hold it and let it go:
//
//	release := make(chan struct{})
//	model := llmtest.New(t, llmtest.Hold(release, llmtest.Reply("{}")))
//	go ask(model.URL)
//	model.Arrived(1) // blocks until one request is in the server's hands
//	close(release)
//
// GET /models is answered at any time from SetModels and is not part of the
// script; nor are batches of requests, which TakeBatches answers. Everything is closed and checked through t.Cleanup.
package llmtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// DefaultModel is what a reply names as its model unless Step.As says
// otherwise and the request named none.
const DefaultModel = "llmtest"

// Server is a scripted model. Its methods may be called concurrently.
type Server struct {
	// URL is the base URL to configure a client with; it ends in /v1.
	URL string

	t      testing.TB
	http   *httptest.Server
	closed chan struct{} // lets held and hanging requests go at the end

	mu       sync.Mutex
	arrival  *sync.Cond
	script   []Step
	requests []Request
	models   []string
	batches  *Batches // nil until TakeBatches
}

// New starts a server that follows the steps and stops it when t ends.
func New(t testing.TB, steps ...Step) *Server {
	t.Helper()
	s := &Server{t: t, closed: make(chan struct{}), models: []string{DefaultModel}}
	s.arrival = sync.NewCond(&s.mu)
	for i, step := range steps {
		if step.always && i != len(steps)-1 {
			t.Fatalf("llmtest: step %d answers every request, so the steps after it are never reached", i+1)
		}
		for range max(1, step.times) {
			s.script = append(s.script, step)
		}
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.http.URL + "/v1"
	t.Cleanup(s.close)
	return s
}

// SetModels sets what GET /models lists.
func (s *Server) SetModels(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models = slices.Clone(names)
}

// Requests returns the requests so far, in order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Calls returns how many requests have arrived so far.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// Arrived blocks until n requests have arrived in all.
func (s *Server) Arrived(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.requests) < n {
		s.arrival.Wait()
	}
}

func (s *Server) close() {
	close(s.closed)
	s.http.CloseClientConnections()
	s.http.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	left := len(s.script)
	if left > 0 && s.script[left-1].always {
		left--
	}
	if left > 0 {
		s.t.Errorf("llmtest: %d of the script's steps were never asked for; %d requests arrived", left, len(s.requests))
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	batches := s.batches
	s.mu.Unlock()
	switch {
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/models"):
		s.serveModels(w)
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/chat/completions"):
		s.serveCompletion(w, r)
	case batches != nil:
		batches.serve(w, r)
	default:
		s.t.Errorf("llmtest: unexpected %s %s", r.Method, r.URL.Path)
		writeError(w, http.StatusNotFound, apiError{Message: "no such path", Code: "unknown_path"})
	}
}

func (s *Server) serveModels(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type model struct {
		ID     string `json:"id"`
		Object string `json:"object"`
	}
	list := struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{Object: "list", Data: []model{}}
	for _, name := range s.models {
		list.Data = append(list.Data, model{ID: name, Object: "model"})
	}
	writeJSON(w, http.StatusOK, list)
}

func (s *Server) serveCompletion(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	request, err := parseRequest(r, body)
	if err != nil {
		s.t.Errorf("llmtest: the request is not one: %v", err)
		writeError(w, http.StatusBadRequest, apiError{Message: "unreadable request", Code: "unreadable_request"})
		return
	}
	step, ok := s.next(&request)
	if !ok {
		s.t.Errorf("llmtest: request %d arrived, but the script has ended", s.Calls())
		// A status that is never retried: one stray request is one failure.
		writeError(w, http.StatusNotFound, apiError{Message: "the script has ended", Code: "script_ended"})
		return
	}
	step.serve(&call{w: w, r: r, request: request, closed: s.closed})
}

// next numbers and notes the request and takes the step that answers it.
func (s *Server) next(request *Request) (Step, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request.Number = len(s.requests) + 1
	s.requests = append(s.requests, *request)
	s.arrival.Broadcast()
	if len(s.script) == 0 {
		return Step{}, false
	}
	step := s.script[0]
	if !step.always {
		s.script = s.script[1:]
	}
	return step, true
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone; what it saw is for the test to judge.
	_ = json.NewEncoder(w).Encode(v)
}

// apiError is the error object of the API.
type apiError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    any     `json:"code"`
}

func writeError(w http.ResponseWriter, status int, e apiError) {
	if e.Type == "" {
		e.Type = "invalid_request_error"
	}
	w.Header().Set("X-Request-Id", fmt.Sprintf("req_%d", status))
	writeJSON(w, status, map[string]any{"error": e})
}
