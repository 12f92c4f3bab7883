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

// over is a judge that asks the server.
func over(t *testing.T, server *llmtest.Server) *model.Judge {
	t.Helper()
	client, err := openai.New(openai.Config{BaseURL: server.URL, Model: "tiny"})
	require.NoError(t, err)
	p, err := prompt.New(prompts.FS)
	require.NoError(t, err)
	j, err := model.New(model.Config{Completer: llm.Stack([]llm.Completer{client}, llm.StackConfig{}), Prompts: p, Secret: []byte("0123456789abcdef")})
	require.NoError(t, err)
	return j
}

// What models of a few hundred million parameters were seen to do, bound to the
// schema by llama.cpp: each of these once cost a score of 0, or twice the time.

func TestAFormSentBackAsItIsIsNoVerdict(t *testing.T) {
	t.Parallel()
	form := `{"criteria":[
		{"id":"c1","evidence":["…","…","…"],"compare":"…","verdict":"contradicted","confidence":0},
		{"id":"c2","evidence":["…"],"compare":"…","verdict":"missed","confidence":0}]}`
	server := llmtest.New(t, llmtest.Reply(form).Times(2))
	got, err := over(t, server).Judge(t.Context(), judge.Task{Question: backups, Answer: backupAnswer})
	require.NoError(t, err)
	for _, f := range got.Findings {
		require.Equal(t, judge.CannotAssess, f.Verdict)
	}
	require.Equal(t, []string{model.ReplyUnreadable}, got.Doubts)
	asked := server.Requests()
	require.Contains(t, asked[1].Last(), "repeats the form instead of filling it in")
	require.Equal(t, []string{"1280", "512"}, []string{asked[0].Param("max_tokens"), asked[1].Param("max_tokens")}, "a repair that runs away costs less")
}

func TestARepairThatRunsAwayIsTheLastCall(t *testing.T) {
	t.Parallel()
	server := llmtest.New(t, llmtest.Reply(`{"criteria":[]}`), llmtest.Truncated(`{"criteria":[{"id":"c1",`))
	got, err := over(t, server).Judge(t.Context(), judge.Task{Question: backups, Answer: backupAnswer})
	require.NoError(t, err)
	require.Equal(t, []string{model.ReplyTruncated}, got.Doubts)
}

func TestAReplyThatRunsAwayIsNotGivenMoreRoom(t *testing.T) {
	t.Parallel()
	server := llmtest.New(t, llmtest.Truncated(`{"criteria":[{"id":"c1","evidence":["`+strings.Repeat("…','", 1000)))
	got, err := over(t, server).Judge(t.Context(), judge.Task{Question: backups, Answer: backupAnswer})
	require.NoError(t, err)
	require.Equal(t, []string{model.ReplyTruncated}, got.Doubts)
	require.Equal(t, judge.CannotAssess, got.Findings[0].Verdict)

	// Whoever thinks at length may have come to an end later.
	thoughts := "<think>" + strings.Repeat("What about the restore? ", 300)
	server = llmtest.New(t, llmtest.Truncated(thoughts), llmtest.Truncated(thoughts+"</think>{"))
	got, err = over(t, server).Judge(t.Context(), judge.Task{Question: backups, Answer: backupAnswer})
	require.NoError(t, err)
	require.Equal(t, 2, got.Usage.Calls)
}

func TestALoneCriterionIsNotAskedTheSameTwice(t *testing.T) {
	t.Parallel()
	lone := *backups
	lone.Criteria = lone.Criteria[:1]
	server := llmtest.New(t, llmtest.Reply(`{"criteria":[{"id":"c1","evidence":[],"compare":"Says nothing of restores.","verdict":"missed","confidence":10}]}`))
	got, err := over(t, server).Judge(t.Context(), judge.Task{Question: &lone, Answer: backupAnswer})
	require.NoError(t, err)
	require.Equal(t, judge.Missed, got.Findings[0].Verdict)
	require.Equal(t, 1, got.Usage.Calls)
}

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
	p, err := prompt.New(prompts.FS)
	require.NoError(t, err)

	got, err := over(t, server).Judge(t.Context(), judge.Task{Question: backups, Answer: backupAnswer})
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
