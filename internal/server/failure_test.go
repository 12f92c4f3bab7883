package server

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/once"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// errorsAtTheEdge is one error of every kind that the packages below may hand
// up, under the name it has there, and the problem it becomes.
var errorsAtTheEdge = []struct {
	name string
	err  error
	want api.ProblemType
	wait string // Retry-After
}{
	{"grading.ErrNotFound", grading.ErrNotFound, api.UnknownGrade, ""},
	{"grading.ErrNoModel", grading.ErrNoModel, api.NoModel, ""},
	{"grading.ErrTimeout", grading.ErrTimeout, api.ModelTimeout, ""},
	{"grading.ErrTimeout while rate limited", errors.Join(grading.ErrTimeout, &llm.RateLimitError{RetryAfter: time.Second}), api.ModelTimeout, ""},
	{"rubric.ErrNotFound", rubric.ErrNotFound, api.UnknownQuestion, ""},
	{"rubric.NotFoundError", &rubric.NotFoundError{Ref: secret, Reason: secret, Near: []string{"platform/on-call"}}, api.UnknownQuestion, ""},
	{"rubric.ErrInvalid", rubric.ErrInvalid, api.InvalidRequest, ""},
	{"rubric.ErrOtherVersion", rubric.ErrOtherVersion, api.Internal, ""},
	{"rubric.InvalidError", &rubric.InvalidError{Pointer: "/criteria", Reason: "too few", Excerpt: secret}, api.InvalidRequest, ""},
	{"llm.ErrQuota", llm.ErrQuota, api.ModelMisconfigured, "5"},
	{"llm.ErrUnauthorized", llm.ErrUnauthorized, api.ModelMisconfigured, "5"},
	{"llm.ErrTooLong", llm.ErrTooLong, api.AnswerTooLong, ""},
	{"llm.ErrRejected", llm.ErrRejected, api.ModelRejected, ""},
	{"llm.ErrTimeout", llm.ErrTimeout, api.ModelTimeout, ""},
	{"llm.ErrBudget", errors.Join(llm.ErrBudget, &llm.UnavailableError{RetryAfter: 7 * time.Second}), api.ModelUnavailable, "7"},
	{"llm.RateLimitError", &llm.RateLimitError{RetryAfter: 1200 * time.Millisecond, Code: secret}, api.ModelUnavailable, "2"},
	{"llm.RateLimitError without a wait", &llm.RateLimitError{}, api.ModelUnavailable, "5"},
	{"llm.UnavailableError", &llm.UnavailableError{Status: 502, Reason: secret}, api.ModelUnavailable, "5"},
	{"llm.OpenError", &llm.OpenError{RetryAfter: 30 * time.Second, Cause: llm.ErrQuota}, api.ModelUnavailable, "30"},
	{"llm.RefusedError", &llm.RefusedError{Kind: llm.ErrUnauthorized, Status: 401, RequestID: secret}, api.ModelMisconfigured, "5"},
	{"once.ErrKey", once.ErrKey, api.InvalidRequest, ""},
	{"once.ErrRunning", once.ErrRunning, api.IdempotencyInProgress, "1"},
	{"once.ErrReused", once.ErrReused, api.IdempotencyKeyReused, ""},
	{"batch.ErrNotFound", batch.ErrNotFound, api.UnknownBatch, ""},
	{"batch.ErrInProgress", batch.ErrInProgress, api.IdempotencyInProgress, "1"},
	{"batch.ErrKeyReused", batch.ErrKeyReused, api.IdempotencyKeyReused, ""},
	{"batch.ErrStorageFull", batch.ErrStorageFull, api.StorageFull, "5"},
	{"batch.ErrNotDurable", batch.ErrNotDurable, api.StorageNotDurable, "5"},
	{"batch.ErrNoPrice", batch.ErrNoPrice, api.InvalidRequest, ""},
	{"batch.ErrEmpty", batch.ErrEmpty, api.InvalidRequest, ""},
	{"batch.ErrTooMany", batch.ErrTooMany, api.TooManyItems, ""},
	{"context.DeadlineExceeded", context.DeadlineExceeded, api.ModelTimeout, ""},
	{"an error nobody declared", errors.New("dial tcp: " + secret), api.Internal, ""},
}

func TestErrorsBecomeProblems(t *testing.T) {
	t.Parallel()
	for _, tt := range errorsAtTheEdge {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			d.grader.grade = func(context.Context, grading.Request) (grading.Result, error) {
				return grading.Result{}, fmt.Errorf("grade platform/on-call: %w", tt.err)
			}
			r := d.post(asked)
			require.Equal(t, tt.want.Status, r.StatusCode)
			require.Equal(t, tt.want.Type, problem(t, r).Type)
			require.Equal(t, tt.wait, r.Header.Get("Retry-After"))
			require.NotContains(t, string(r.body), secret, "the cause is the operator's to read")
			require.Empty(t, r.Header.Get("X-Cache"))
			golden(t, "problems/"+strings.ReplaceAll(tt.name, " ", "-")+".json", indented(t, r.body))
			if r.StatusCode >= 500 {
				require.Equal(t, 1, strings.Count(d.log.String(), `"msg":"request failed"`), d.log.String())
				require.Contains(t, d.log.String(), "grade platform/on-call: ")
			}
		})
	}
}

func TestStoreThatIsDownIsNotAMissingGrade(t *testing.T) {
	t.Parallel()
	down := errors.New("store unavailable")
	d := open(t, func(c *Config) { c.StoreDown = func(err error) bool { return errors.Is(err, down) } })
	broken := fmt.Errorf("get grade: %w: %w", down, context.DeadlineExceeded)
	d.grader.find = func(grading.Key) (*grading.Record, error) { return nil, broken }
	d.grader.forget = func(grading.Key) error { return broken }
	for _, method := range []string{"GET", "DELETE"} {
		r := d.send(method, "/v1/grades/"+someGrade, "")
		require.Equal(t, api.StoreUnavailable.Type, problem(t, r).Type)
		require.Equal(t, "5", r.Header.Get("Retry-After"))
	}
}

// TestEveryErrorHasAProblem reads the sources of the packages whose errors
// arrive here, so that a new one cannot be forgotten.
func TestEveryErrorHasAProblem(t *testing.T) {
	t.Parallel()
	known := map[string]bool{
		// Faults is a list of InvalidErrors and is made by bad requests.
		"rubric.Faults": true,
		// A duplicate is a fault of a row.
		"batch.DuplicateError": true,
		// What workers and keepers tell each other.
		"batch.ErrLost": true, "batch.ErrNotOver": true, "batch.ErrDraining": true,
	}
	for _, e := range errorsAtTheEdge {
		known[strings.Fields(e.name)[0]] = true
	}
	found := 0
	for _, pkg := range []string{"rubric", "grading", "llm", "once", "batch"} {
		for _, name := range declaredErrors(t, filepath.Join("..", pkg)) {
			found++
			require.True(t, known[pkg+"."+name], "%s.%s has no example in errorsAtTheEdge; give it a row in causes too", pkg, name)
		}
	}
	require.Greater(t, found, 10, "the search for errors finds none")
}

// declaredErrors lists exported variables called Err… and exported types with
// an Error method.
func declaredErrors(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, entry.Name()), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && decl.Tok == token.VAR {
						for _, name := range v.Names {
							if strings.HasPrefix(name.Name, "Err") {
								names = append(names, name.Name)
							}
						}
					}
				}
			case *ast.FuncDecl:
				if decl.Name.Name != "Error" || decl.Recv == nil {
					continue
				}
				receiver := decl.Recv.List[0].Type
				if star, ok := receiver.(*ast.StarExpr); ok {
					receiver = star.X
				}
				if id, ok := receiver.(*ast.Ident); ok && id.IsExported() {
					names = append(names, id.Name)
				}
			}
		}
	}
	return names
}

func TestNobodyIsAnsweredWhoHasGone(t *testing.T) {
	t.Parallel()
	var seen []Exchange
	done := make(chan struct{})
	d := open(t, func(c *Config) {
		c.Observe = func(e Exchange) { seen = append(seen, e); close(done) }
	})
	started := make(chan struct{})
	d.grader.grade = func(ctx context.Context, _ grading.Request) (grading.Result, error) {
		close(started)
		<-ctx.Done()
		return grading.Result{}, fmt.Errorf("grade: %w", ctx.Err())
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/v1/grades", strings.NewReader(asked))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	go func() {
		<-started
		cancel()
	}()
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	<-done
	require.Equal(t, 499, seen[0].Status)
	require.Empty(t, seen[0].Problem)
	require.NotContains(t, d.log.String(), "request failed")
}

func TestPanicsAreLoggedOnceAndToldToNobody(t *testing.T) {
	t.Parallel()
	for name, what := range map[string]any{
		"a string": secret, "an error": errors.New(secret), "a value": struct{ Answer string }{secret},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			d.grader.grade = func(context.Context, grading.Request) (grading.Result, error) { panic(what) }
			r := d.post(asked)
			require.Equal(t, http.StatusInternalServerError, r.StatusCode)
			require.Equal(t, api.Internal.Type, problem(t, r).Type)
			require.NotContains(t, string(r.body), secret)
			log := d.log.String()
			require.Equal(t, 1, strings.Count(log, `"level":"ERROR"`), log)
			require.Contains(t, log, "failure_test.go", "the stack shows where")
			require.NotContains(t, log, secret)
			require.Equal(t, http.StatusOK, d.get("/healthz").StatusCode, "the service goes on")
		})
	}
}

func TestPanicInTheMiddleOfAReplyCutsIt(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *Config) {
		c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
			panic("broken")
		})
	})
	resp, err := http.Get(d.url + "/metrics")
	if err == nil {
		_, err = resp.Body.Read(make([]byte, 100))
		for err == nil {
			_, err = resp.Body.Read(make([]byte, 100))
		}
		_ = resp.Body.Close()
		require.ErrorContains(t, err, "unexpected EOF")
	}
	require.Contains(t, d.log.String(), `"msg":"panic"`)
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, tt := range []struct {
		method, path string
		want         api.ProblemType
		allow        string
	}{
		{"GET", "/nothing", api.NotFound, ""},
		{"GET", "/v1/sets/", api.NotFound, ""},
		{"POST", "/v1/grades/", api.NotFound, ""},
		{"GET", "/v1/Sets", api.NotFound, ""},
		{"GET", "/metrics", api.NotFound, ""},
		{"GET", "/docs/../server.go", api.NotFound, ""},
		{"GET", "/docs/missing.js", api.NotFound, ""},
		{"GET", "/problems/missing", api.NotFound, ""},
		{"GET", "/v1/grades", api.MethodNotAllowed, "POST"},
		{"PUT", "/v1/grades/" + someGrade, api.MethodNotAllowed, "GET, HEAD, DELETE"},
		{"DELETE", "/v1/sets", api.MethodNotAllowed, "GET, HEAD"},
		{"POST", "/", api.MethodNotAllowed, "GET, HEAD"},
		{"BREW", "/healthz", api.MethodNotAllowed, "GET, HEAD"},
		{"GET", "/v1/sets/nowhere", api.UnknownSet, ""},
		{"GET", "/v1/sets/platform/questions/nothing", api.UnknownQuestion, ""},
		{"GET", "/v1/sets/platform/questions/on-call?include=everything", api.InvalidRequest, ""},
		{"GET", "/v1/grades/" + someGrade + "?detail=more", api.InvalidRequest, ""},
		{"GET", "/v1/grades/" + someGrade, api.UnknownGrade, ""},
	} {
		r := d.send(tt.method, tt.path, "", "X-Forwarded-Prefix: /evil", "X-Forwarded-For: 1.2.3.4")
		require.Equal(t, tt.want.Type, problem(t, r).Type, "%s %s", tt.method, tt.path)
		require.Equal(t, tt.want.Status, r.StatusCode)
		require.ElementsMatch(t, strings.FieldsFunc(tt.allow, func(r rune) bool { return r == ',' || r == ' ' }),
			strings.FieldsFunc(r.Header.Get("Allow"), func(r rune) bool { return r == ',' || r == ' ' }), "%s %s", tt.method, tt.path)
	}
}

func TestEveryProblemTypeIsExplained(t *testing.T) {
	t.Parallel()
	d := open(t)
	seen := map[string]bool{}
	for _, kind := range api.ProblemTypes() {
		require.False(t, seen[kind.Type], "%s is declared twice", kind.Type)
		seen[kind.Type] = true
		r := d.get(kind.Type) // a type is a path on this service
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Contains(t, string(r.body), kind.Title)
		require.NotEmpty(t, kind.Meaning)
	}
	golden(t, "problems.json", indented(t, d.get("/problems").body))
}
