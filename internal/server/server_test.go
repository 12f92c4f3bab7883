package server

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares got with a file under testdata, or rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the tests with -update to write it")
	require.Empty(t, cmp.Diff(string(want), string(got)))
}

// grader is a scripted Grader that remembers what it was asked.
type grader struct {
	grade  func(context.Context, grading.Request) (grading.Result, error)
	find   func(grading.Key) (*grading.Record, error)
	forget func(grading.Key) error

	mu        sync.Mutex
	asked     []grading.Request
	forgotten []grading.Key
}

func (g *grader) Grade(ctx context.Context, req grading.Request) (grading.Result, error) {
	g.mu.Lock()
	g.asked = append(g.asked, req)
	g.mu.Unlock()
	if g.grade == nil {
		return grading.Result{Record: record(judge.Usage{}), Source: grading.Miss}, nil
	}
	return g.grade(ctx, req)
}

func (g *grader) Find(_ context.Context, key grading.Key) (*grading.Record, error) {
	if g.find == nil {
		return nil, grading.ErrNotFound
	}
	return g.find(key)
}

func (g *grader) Forget(_ context.Context, key grading.Key) error {
	g.mu.Lock()
	g.forgotten = append(g.forgotten, key)
	g.mu.Unlock()
	if g.forget == nil {
		return nil
	}
	return g.forget(key)
}

// last is the latest request the grader saw.
func (g *grader) last(t *testing.T) grading.Request {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	require.NotEmpty(t, g.asked, "the grader was not asked")
	return g.asked[len(g.asked)-1]
}

func (g *grader) calls() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.asked)
}

const someGrade = "gr_abcdefghijklmnopqrstuvwxyz234567"

// record is a grade as it may be kept.
func record(spent judge.Usage) *grading.Record {
	id, score, band := someGrade, 72.5, grading.Solid
	r, err := grading.NewRecord(grading.Grade{
		ID: &id, Status: grading.Graded, QuestionID: "platform/on-call", Score: &score, Band: &band,
		Criteria: []grading.CriterionGrade{{
			ID: "prune", Statement: "Removes alerts that nobody acts on.", Kind: rubric.Core, Weight: 60,
			Verdict: judge.Met, Credit: 1, Confidence: .9,
			Evidence: []evidence.Quote{{Text: "delete every alert", Start: 8, End: 26, Match: evidence.Exact}},
		}, {
			ID: "runbooks", Statement: "Gives alerts a runbook.", Kind: rubric.Core, Weight: 40,
			Verdict: judge.Missed, Evidence: []evidence.Quote{}, Comment: "No runbook is named.", Confidence: .7,
		}},
		Feedback: grading.Feedback{
			Summary:   "Solid.",
			Strengths: []grading.Strength{{CriterionID: "prune", Text: "You prune.", Quote: "delete every alert"}},
			Improvements: []grading.Improvement{{
				CriterionID: "runbooks", Text: "Name the runbook.", Starter: "Every alert links to [your runbook].", Points: 40,
			}},
			FollowUp: "Who writes the runbooks?",
		},
		Integrity: evidence.Integrity{Flags: []evidence.Flag{}, Spans: []evidence.Flagged{}},
		Review:    grading.Review{Reasons: []string{}},
		Provenance: grading.Provenance{
			Judge: "model", Model: "test-1", RubricDigest: "sha256:00", PromptDigest: "sha256:01",
			GradedAt: time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC),
		},
		Usage: spent,
	}, true, nil)
	if err != nil {
		panic(err)
	}
	return r
}

// door is a server under test, reached over real HTTP.
type door struct {
	*testing.T
	url    string
	server *Server
	grader *grader
	log    *syncBuffer
}

// open starts a server; change may alter its configuration.
func open(t *testing.T, change ...func(*Config)) *door {
	t.Helper()
	d := &door{T: t, grader: &grader{}, log: &syncBuffer{}}
	cfg := Config{
		Grader:  d.grader,
		Library: library(t),
		Batches: newPress(t),
		Log:     slog.New(slog.NewJSONHandler(d.log, nil)),
		Version: "test",
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	d.server, err = New(cfg)
	require.NoError(t, err)
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = d.server.http
	ts.Start()
	t.Cleanup(ts.Close)
	d.url = ts.URL
	return d
}

func library(t testing.TB) *rubric.Library {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "platform.yaml"))
	require.NoError(t, err)
	set, err := rubric.Parse("platform.yaml", data)
	require.NoError(t, err)
	lib, err := rubric.NewLibrary(set)
	require.NoError(t, err)
	return lib
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body []byte
}

// send sends a request; each header is "Name: value".
func (d *door) send(method, path, body string, headers ...string) reply {
	d.Helper()
	req, err := http.NewRequestWithContext(d.Context(), method, d.url+path, strings.NewReader(body))
	require.NoError(d, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("X-Request-Id", "test")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(d, err)
	defer func() { _ = resp.Body.Close() }()
	read, err := io.ReadAll(resp.Body)
	require.NoError(d, err)
	return reply{resp, read}
}

func (d *door) post(body string, headers ...string) reply {
	d.Helper()
	return d.send(http.MethodPost, "/v1/grades", body, headers...)
}

func (d *door) get(path string, headers ...string) reply {
	d.Helper()
	return d.send(http.MethodGet, path, "", headers...)
}

// indented is JSON as golden files hold it.
func indented(t *testing.T, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, body, "", "  "), "%s", body)
	out.WriteByte('\n')
	return out.Bytes()
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
