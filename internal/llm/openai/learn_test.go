package openai_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

// The ladder goes down a rung for every 400 that names the format, and stays.
func TestFormatIsLearnedFromRefusals(t *testing.T) {
	t.Parallel()
	object := llmtest.Body(400, "application/json", `{"error":"'response_format.type' must be 'text'"}`)
	schema := llmtest.Failure(400, "invalid_request_error", "Invalid parameter: 'response_format' of type 'json_schema' is not supported")
	model := llmtest.New(t, schema, object, llmtest.Reply("{}").Times(2))
	c := client(t, model, "m")
	for range 2 {
		_, err := c.Complete(t.Context(), question())
		require.NoError(t, err)
	}
	var formats []string
	for _, r := range model.Requests() {
		formats = append(formats, r.Format)
	}
	require.Equal(t, []string{"json_schema", "json_object", "", ""}, formats)
	require.Contains(t, model.Requests()[1].Text(), "JSON", "json_object asks for the word in the prompt")
	require.Contains(t, model.Requests()[3].Text(), string(question().Schema), "the rules carry what response_format cannot")
	require.Equal(t, question().Messages[1].Text, model.Requests()[3].Last(), "the answer stays last and alone")

	other := llmtest.New(t, llmtest.Reply("{}"))
	_, err := client(t, other, "m").Complete(t.Context(), question())
	require.NoError(t, err)
	require.Equal(t, "json_schema", other.Requests()[0].Format, "what one endpoint lacks is not held against another")
}

func TestParametersAreLearnedFromRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		model  string
		refuse llmtest.Step
		gone   string
		instead,
		value string
	}{
		{"alias of a reasoning model, limit", "proxy-a", llmtest.Body(400, "application/json",
			`{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`),
			"max_tokens", "max_completion_tokens", "300"},
		{"alias of a reasoning model, temperature", "proxy-a", llmtest.Body(400, "application/json",
			`{"error":{"message":"Unsupported value: 'temperature' does not support 0 with this model.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}`),
			"temperature", "max_tokens", "300"},
		{"chat flavour without effort", "gpt-5-chat-latest", llmtest.Unsupported("reasoning_effort"), "reasoning_effort", "max_completion_tokens", "300"},
		{"FastAPI, by place", "m", llmtest.Body(422, "application/json",
			`{"detail":[{"loc":["body","temperature"],"msg":"extra fields not permitted","type":"value_error.extra","input":"`+secret+`"}]}`),
			"temperature", "max_tokens", "300"},
		{"plain text", "m", llmtest.Body(400, "text/plain", "unknown field max_tokens"), "max_tokens", "max_completion_tokens", "300"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, c.refuse, llmtest.Reply("{}").Times(2))
			cl := client(t, model, c.model)
			for range 2 {
				_, err := cl.Complete(t.Context(), question())
				require.NoError(t, err)
			}
			require.True(t, model.Requests()[0].Has(c.gone))
			for _, r := range model.Requests()[1:] {
				require.False(t, r.Has(c.gone))
				require.Equal(t, c.value, r.Param(c.instead))
				require.Equal(t, "json_schema", r.Format)
			}
		})
	}
}

func TestSeveralLessonsInOneCall(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t,
		llmtest.Unsupported("max_tokens"), llmtest.Unsupported("max_completion_tokens"), llmtest.Unsupported("temperature"),
		llmtest.Unsupported("response_format"), llmtest.Failure(400, "", "System role not supported"),
		llmtest.Reply("{}"),
	)
	_, err := client(t, model, "m").Complete(t.Context(), question())
	require.NoError(t, err)
	last := model.Requests()[5]
	require.Equal(t, "json_object", last.Format)
	for _, gone := range []string{"max_tokens", "max_completion_tokens", "temperature"} {
		require.False(t, last.Has(gone), gone)
	}
	require.Len(t, last.Messages, 1)
	require.Equal(t, "user", last.Messages[0].Role)
	require.True(t, strings.HasPrefix(last.Last(), "Judge the answer."))
	require.True(t, strings.HasSuffix(last.Last(), question().Messages[1].Text))
}

func TestLimitAboveTheModelsOwnIsDroppedForThatRequestOnly(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t,
		llmtest.Failure(400, "invalid_value", "max_tokens is too large: 300. This model supports at most 200 completion tokens."),
		llmtest.Truncated("{"), llmtest.Reply("{}"))
	c := client(t, model, "m")
	reply, err := c.Complete(t.Context(), question())
	require.NoError(t, err)
	require.True(t, reply.Truncated)
	small := question()
	small.MaxTokens = 50
	_, err = c.Complete(t.Context(), small)
	require.NoError(t, err)
	require.False(t, model.Requests()[1].Has("max_tokens"))
	require.Equal(t, "50", model.Requests()[2].Param("max_tokens"))
}

// A 400 that names nothing is met with a poorer format, but that is kept only
// if it helps, and tried only where a schema has never worked.
func TestNamelessRefusal(t *testing.T) {
	t.Parallel()
	nameless := llmtest.Body(400, "application/json", `{"error":{"message":"bad request","code":400}}`)

	helped := llmtest.New(t, nameless, llmtest.Reply("{}").Times(2))
	c := client(t, helped, "m")
	for range 2 {
		_, err := c.Complete(t.Context(), question())
		require.NoError(t, err)
	}
	require.Equal(t, "json_object", helped.Requests()[2].Format)

	inVain := llmtest.New(t, nameless.Times(3), llmtest.Reply("{}"), nameless)
	c = client(t, inVain, "m")
	_, err := c.Complete(t.Context(), question())
	require.ErrorIs(t, err, llm.ErrRejected)
	_, err = c.Complete(t.Context(), question())
	require.NoError(t, err)
	require.Equal(t, "json_schema", inVain.Requests()[3].Format, "a guess that did not help is forgotten")
	_, err = c.Complete(t.Context(), question())
	require.ErrorIs(t, err, llm.ErrRejected, "a schema has worked, so the 400 is about something else")
	require.Equal(t, 5, inVain.Calls())
}

func TestManyLearnAtOnce(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Always(func(r llmtest.Request) llmtest.Step {
		switch {
		case r.Has("temperature"):
			return llmtest.Unsupported("temperature")
		case r.Format == "json_schema":
			return llmtest.Unsupported("response_format")
		}
		return llmtest.Reply("{}")
	}))
	c := client(t, model, "m")
	errs := make(chan error)
	const callers = 20
	for range callers {
		go func() {
			_, err := c.Complete(t.Context(), question())
			errs <- err
		}()
	}
	for range callers {
		require.NoError(t, <-errs)
	}
	require.LessOrEqual(t, model.Calls(), 3*callers)
	before := model.Calls()
	_, err := c.Complete(t.Context(), question())
	require.NoError(t, err)
	require.Equal(t, before+1, model.Calls(), "what was learned is remembered")
}
