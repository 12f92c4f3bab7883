package app_test

import (
	"encoding/json"
	"net/http"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/mcp"
)

// agent is a session of an agent that shows a key.
func (r *running) agent(key string) *sdk.ClientSession {
	r.t.Helper()
	client := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(r.t.Context(), &sdk.StreamableClientTransport{Endpoint: r.url + "/mcp",
		HTTPClient: &http.Client{Transport: shows{key, r.client.Transport}}, DisableStandaloneSSE: true}, nil)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = session.Close() })
	return session
}

type shows struct {
	key  string
	next http.RoundTripper
}

func (s shows) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+s.key)
	return s.next.RoundTrip(r)
}

// tool calls a tool; said is its text, which is an error's where failed is true.
func tool(t *testing.T, session *sdk.ClientSession, name string, arguments any, into any) (said string, failed bool) {
	t.Helper()
	result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: arguments})
	require.NoError(t, err)
	require.Len(t, result.Content, 1)
	content, ok := result.Content[0].(*sdk.TextContent)
	require.True(t, ok)
	if !result.IsError && into != nil {
		require.NoError(t, json.Unmarshal([]byte(content.Text), into))
	}
	return content.Text, result.IsError
}

// TestAnAgentMayDoWhatItsKeyMay is API1:2023 and API5:2023 for agents: a real
// client of the protocol acts with the key it shows, within that key's scopes
// and on its tenant's own, and nothing else.
func TestAnAgentMayDoWhatItsKeyMay(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	full, _ := v.key("acme", access.Limits{Rate: 1_000_000})
	other, _ := v.key("rival", access.Limits{Rate: 1_000_000})
	reading := v.scoped("acme", access.Read)
	r := v.serve(nil, full, other, reading)
	mine, theirs, reader := r.agent(full), r.agent(other), r.agent(reading)

	ask := map[string]any{"question": onCall(), "answer": answer(t)}
	var grade api.Grade
	said, failed := tool(t, mine, "grade_answer", ask, &grade)
	require.False(t, failed, said)
	require.NotNil(t, grade.Score)
	require.Equal(t, http.StatusOK, r.with(full, http.MethodGet, "/v1/grades/"+*grade.ID, nil).status, "the tenant's own")
	r.with(other, http.MethodGet, "/v1/grades/"+*grade.ID, nil).refused(api.UnknownGrade)

	var listed mcp.Questions
	said, failed = tool(t, reader, "list_questions", map[string]any{}, &listed)
	require.False(t, failed, said)
	require.NotEmpty(t, listed.Sets)
	said, failed = tool(t, reader, "grade_answer", ask, nil)
	require.True(t, failed)
	require.Contains(t, said, `lacks the scope "grade"`)

	start := map[string]any{"items": []map[string]any{
		{"id": "one", "question": onCall(), "answer": answer(t, "Of a batch.")}, {"id": "two", "question": onCall(), "answer": ""},
	}}
	_, failed = tool(t, reader, "start_batch", start, nil)
	require.True(t, failed)
	var b api.Batch
	said, failed = tool(t, mine, "start_batch", start, &b)
	require.False(t, failed, said)
	page := mcp.BatchPage{Batch: &b}
	until(t, "the batch is over", func() bool {
		_, failed := tool(t, reader, "get_batch", map[string]any{"id": b.ID}, &page)
		return !failed && page.Batch.Status == api.BatchCompleted
	})
	require.Len(t, page.Results, 2)
	require.Equal(t, "one", page.Results[0].ID)
	require.NotNil(t, page.Results[0].Grade)
	said, failed = tool(t, theirs, "get_batch", map[string]any{"id": b.ID}, nil)
	require.True(t, failed)
	unknown, _ := tool(t, theirs, "get_batch", map[string]any{"id": "ba_aaaaaaaaaaaaaaaaaaaa"}, nil)
	require.Equal(t, unknown, said, "another's batch is told from none by nothing")

	client := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	_, err := client.Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: r.url + "/mcp",
		HTTPClient: &http.Client{Transport: shows{"none-of-ours", r.client.Transport}}, DisableStandaloneSSE: true}, nil)
	require.Error(t, err, "without a key there is no session")
}
