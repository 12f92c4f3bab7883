package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/mcp"
)

// fake answers as the service would, for one key.
type fake struct {
	key     string
	batches map[string]string // body by id
}

func (f *fake) Sets(context.Context) ([]api.SetSummary, error) {
	return []api.SetSummary{{ID: "cooks", Title: "Cooks", Questions: []api.QuestionSummary{{ID: "stock", Kind: "technical", Question: "How do you clear a stock?"}}}, {ID: f.key, Questions: []api.QuestionSummary{}}}, nil
}

func (f *fake) Question(_ context.Context, ref string, sample bool) (*api.QuestionView, error) {
	if ref != "cooks/stock" {
		return nil, &api.Problem{Type: api.UnknownQuestion.Type, Status: 404, Title: api.UnknownQuestion.Title,
			Errors: []api.Fault{{Pointer: "/question_id", Detail: "there is no such question"}}}
	}
	q := &api.QuestionView{QuestionID: ref, Criteria: []api.Criterion{{ID: "raft", Statement: "Uses a raft of egg white"}}}
	if sample {
		q.SampleAnswer = "With egg white."
	}
	return q, nil
}

func (f *fake) Grade(_ context.Context, req api.GradeRequest, _ ...api.Option) (*api.Grade, error) {
	if req.Answer == "boom" && req.Fallback != api.JudgeLexical {
		return nil, &api.Problem{Type: api.ModelUnavailable.Type, Status: 503, Title: api.ModelUnavailable.Title}
	}
	score, band, id := 72.5, api.Solid, "gr_1"
	return &api.Grade{ID: &id, Status: api.Graded, QuestionID: req.QuestionID, Score: &score, Band: &band,
		Criteria:   []api.CriterionGrade{{ID: "raft", Verdict: api.Met, Evidence: []api.Quote{{Quote: req.Answer, End: 3, Match: "exact"}}}},
		Feedback:   api.Feedback{Strengths: []api.Strength{}, Improvements: []api.Improvement{}},
		Provenance: api.Provenance{Judge: "lexical", GradedAt: time.Unix(0, 0).UTC()}}, nil
}

func (f *fake) CreateBatch(_ context.Context, body io.Reader, media string, o api.BatchOptions, _ ...api.Option) (*api.Batch, error) {
	raw, err := io.ReadAll(body)
	if err != nil || media != "application/json" || o.QuestionID != "cooks/stock" || o.Fallback != api.JudgeLexical {
		return nil, errors.New("not as it should be sent")
	}
	f.batches["ba_1"] = string(raw)
	return &api.Batch{ID: "ba_1", Status: api.BatchQueued, Total: 3, Pending: 3}, nil
}

func (f *fake) Batch(_ context.Context, id string) (*api.Batch, error) {
	if f.batches[id] == "" {
		return nil, &api.Problem{Type: "/problems/unknown-batch", Status: 404, Title: "There is no such batch"}
	}
	return &api.Batch{ID: id, Status: api.BatchRunning, Total: 60, Graded: 50, Pending: 10}, nil
}

func (f *fake) Results(_ context.Context, id string, wait bool) iter.Seq2[api.ResultRow, error] {
	return func(yield func(api.ResultRow, error) bool) {
		if wait {
			yield(api.ResultRow{}, errors.New("a tool must not wait for a batch"))
			return
		}
		for i := range 50 {
			if !yield(api.ResultRow{Index: i, ID: "item", Status: api.RowFailed, Error: &api.Problem{Status: 500, Title: "x"}}, nil) {
				return
			}
		}
	}
}

// connect opens a session over HTTP with a key.
func connect(t *testing.T, key string) *sdk.ClientSession {
	t.Helper()
	batches := make(map[string]string)
	server := httptest.NewServer(mcp.Handler(func(r *http.Request) (mcp.Service, error) {
		return &fake{key: r.Header.Get("Authorization"), batches: batches}, nil
	}, "test", slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	client := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: server.URL,
		HTTPClient: &http.Client{Transport: withKey(key)}, DisableStandaloneSSE: true}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return session
}

type withKey string

func (k withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", string(k))
	return http.DefaultTransport.RoundTrip(r)
}

// call calls a tool and decodes its structured result.
func call[T any](t *testing.T, session *sdk.ClientSession, tool string, arguments map[string]any) T {
	t.Helper()
	result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: arguments})
	require.NoError(t, err)
	require.False(t, result.IsError, "%s: %v", tool, text(result))
	raw, err := json.Marshal(result.StructuredContent)
	require.NoError(t, err)
	require.JSONEq(t, string(raw), text(result), "the text says the same as the structure")
	var out T
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

func text(r *sdk.CallToolResult) string {
	if len(r.Content) != 1 {
		return ""
	}
	content, ok := r.Content[0].(*sdk.TextContent)
	if !ok {
		return ""
	}
	return content.Text
}

func TestAnAgentFindsReadsGradesAndRunsABatch(t *testing.T) {
	t.Parallel()
	session := connect(t, "Bearer one")
	listed, err := session.ListTools(t.Context(), nil)
	require.NoError(t, err)
	names := make([]string, 0, 5)
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
		require.NotEmpty(t, tool.Description)
		require.NotNil(t, tool.OutputSchema, tool.Name)
	}
	require.ElementsMatch(t, []string{"list_questions", "get_question", "grade_answer", "start_batch", "get_batch"}, names)

	questions := call[mcp.Questions](t, session, "list_questions", map[string]any{})
	require.Len(t, questions.Sets, 2)
	require.Equal(t, "Bearer one", questions.Sets[1].ID, "the tools act with the key of their request")
	require.Len(t, call[mcp.Questions](t, session, "list_questions", map[string]any{"set": "cooks"}).Sets, 1)

	require.Empty(t, call[api.QuestionView](t, session, "get_question", map[string]any{"question_id": "cooks/stock"}).SampleAnswer)
	require.NotEmpty(t, call[api.QuestionView](t, session, "get_question", map[string]any{"question_id": "cooks/stock", "include_sample_answer": true}).SampleAnswer)

	grade := call[api.Grade](t, session, "grade_answer", map[string]any{"question_id": "cooks/stock", "answer": "egg"})
	require.InDelta(t, 72.5, *grade.Score, 0)
	require.Equal(t, "egg", grade.Criteria[0].Evidence[0].Quote)
	call[api.Grade](t, session, "grade_answer", map[string]any{"question_id": "cooks/stock", "answer": "boom", "fallback": "lexical"})

	started := call[api.Batch](t, session, "start_batch", map[string]any{"question_id": "cooks/stock", "fallback": "lexical",
		"items": []map[string]any{{"id": "a", "answer": "x"}, {"id": "b", "answer": ""}}})
	require.Equal(t, "ba_1", started.ID)

	first := call[mcp.BatchPage](t, session, "get_batch", map[string]any{"id": "ba_1"})
	require.Len(t, first.Results, 20)
	require.Equal(t, 20, *first.Next)
	last := call[mcp.BatchPage](t, session, "get_batch", map[string]any{"id": "ba_1", "from": 40, "limit": 200})
	require.Len(t, last.Results, 10)
	require.Equal(t, 40, last.Results[0].Index)
	require.Nil(t, last.Next)
	require.Empty(t, call[mcp.BatchPage](t, session, "get_batch", map[string]any{"id": "ba_1", "limit": 0}).Results)
}

func TestAFailureIsAToolErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	session := connect(t, "Bearer one")
	for _, test := range []struct {
		tool      string
		arguments map[string]any
		says      string
	}{
		{"get_question", map[string]any{"question_id": "cooks/none"}, "/question_id: there is no such question"},
		{"grade_answer", map[string]any{"question_id": "cooks/stock", "answer": "boom"}, "The model cannot be asked"},
		{"list_questions", map[string]any{"set": "none"}, "There is no such question set"},
		{"get_batch", map[string]any{"id": "ba_9"}, "There is no such batch"},
		{"get_batch", map[string]any{"id": "ba_1", "limit": 201}, "limit must be"},
		{"get_batch", map[string]any{"id": "../keys"}, "not the id of a batch"},
		{"grade_answer", map[string]any{"question_id": "cooks/stock"}, "answer"},
		{"grade_answer", map[string]any{"answer": "x", "tenant": "other"}, "tenant"},
	} {
		result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: test.tool, Arguments: test.arguments})
		if err != nil {
			require.ErrorContains(t, err, test.says, "%s %v", test.tool, test.arguments)
			continue
		}
		require.True(t, result.IsError, "%s %v", test.tool, test.arguments)
		require.Contains(t, text(result), test.says)
	}
}

func TestStandardStreams(t *testing.T) {
	t.Parallel()
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- mcp.Serve(t.Context(), &fake{}, "test", inRead, outWrite)
	}()
	client := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &sdk.IOTransport{Reader: outRead, Writer: inWrite}, nil)
	require.NoError(t, err)
	require.Equal(t, "gradus", session.InitializeResult().ServerInfo.Name)
	require.Len(t, call[mcp.Questions](t, session, "list_questions", nil).Sets, 2)
	require.NoError(t, session.Close())
	require.NoError(t, <-ended, "the end of the input is the end of the work")
}
