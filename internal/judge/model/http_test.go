package model_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/judge/model"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/llm/openai"
	"github.com/gradus-ai/gradus/internal/prompt"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/prompts"
)

var backups = &rubric.Question{
	Ref:  "operations/backups",
	Text: "How do you know that your backups work?",
	Criteria: []rubric.Criterion{
		{ID: "restore", Weight: 70, Kind: rubric.Core, Statement: "Restores a backup regularly and checks the data."},
		{ID: "alert", Weight: 30, Kind: rubric.Core, Statement: "Gets an alert when a backup is missing."},
	},
}

const backupAnswer = "Every Monday a job restores the latest backup into an empty cluster and compares row counts. If one is missing, the pager goes off."

// The whole way over HTTP: a rate limit, a reply in a fence, a second look.
func TestAGradeOverHTTP(t *testing.T) {
	t.Parallel()
	server := llmtest.New(t,
		llmtest.Status(429, "0"),
		llmtest.Reply("```json\n"+`{"criteria":[
			{"id":"c1","evidence":["restores the latest backup into an empty cluster"],"compare":"","verdict":"met","confidence":95},
			{"id":"c2","evidence":["we are alerted by mail"],"compare":"","verdict":"met","confidence":95}]}`+"\n```").As("tiny-2").Using(600, 512, 90),
		llmtest.Reply(`{"criteria":[{"id":"c1","evidence":["If one is missing, the pager goes off"],"compare":"","verdict":"met","confidence":90}]}`).Using(500, 0, 40),
	)
	client, err := openai.New(openai.Config{BaseURL: server.URL, Model: "tiny"})
	require.NoError(t, err)
	p, err := prompt.New(prompts.FS)
	require.NoError(t, err)
	j, err := model.New(model.Config{Completer: llm.Stack([]llm.Completer{client}, llm.StackConfig{}), Prompts: p, Secret: []byte("0123456789abcdef")})
	require.NoError(t, err)

	got, err := j.Judge(t.Context(), judge.Task{Question: backups, Answer: backupAnswer})
	require.NoError(t, err)
	require.Equal(t, judge.Met, got.Findings[0].Verdict)
	require.Equal(t, judge.Met, got.Findings[1].Verdict)
	require.Equal(t, "If one is missing, the pager goes off", got.Findings[1].Evidence[0].Text)
	require.Equal(t, "tiny-2", got.Model)
	require.Equal(t, judge.Usage{Calls: 2, PromptTokens: 1100, CachedTokens: 512, CompletionTokens: 130}, got.Usage)

	asked := server.Requests()
	require.Len(t, asked, 3)
	require.JSONEq(t, string(asked[0].Body), string(asked[1].Body))
	last := asked[1].Last()
	require.True(t, strings.HasPrefix(last, "<answer-"))
	require.Contains(t, last, backupAnswer)
	var body struct {
		ResponseFormat struct {
			JSONSchema struct {
				Name   string
				Schema json.RawMessage
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	require.NoError(t, json.Unmarshal(asked[1].Body, &body))
	require.Equal(t, "verdicts_2", body.ResponseFormat.JSONSchema.Name)
	require.Equal(t, string(p.Schema(2)), string(body.ResponseFormat.JSONSchema.Schema), "the order of members is the order of the reply")
}
