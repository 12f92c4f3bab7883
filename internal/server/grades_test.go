package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

const asked = `{"question_id":"platform/on-call","answer":"I would delete every alert nobody acts on."}`

func TestAnswerIsGraded(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.post(asked)
	require.Equal(t, http.StatusOK, r.StatusCode, "%s", r.body)
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	require.Equal(t, "miss", r.Header.Get("X-Cache"))
	require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
	require.Equal(t, "test", r.Header.Get("X-Request-Id"))
	golden(t, "grade.json", indented(t, r.body))

	got := d.grader.last(t)
	require.Equal(t, "local", got.Tenant)
	require.Equal(t, "platform/on-call", got.Question.Ref)
	require.Equal(t, "I would delete every alert nobody acts on.", got.Answer)
	require.False(t, got.Fresh)
	require.False(t, got.Fallback)
}

func TestKeptGradeIsServedByteForByte(t *testing.T) {
	t.Parallel()
	d := open(t)
	kept := record(judge.Usage{Calls: 1})
	d.grader.grade = always200(grading.Result{Record: kept, Source: grading.Hit})
	r := d.post(asked)
	require.Equal(t, string(kept.JSON()), string(r.body))
	require.Equal(t, "hit", r.Header.Get("X-Cache"))
}

func TestWhoPaysSeesTheCost(t *testing.T) {
	t.Parallel()
	d := open(t)
	spent := judge.Usage{Calls: 2, PromptTokens: 700}
	d.grader.grade = always200(grading.Result{Record: record(spent), Source: grading.Miss, Usage: spent})
	require.Equal(t, 2, decodeGrade(t, d.post(asked)).Usage.Calls)

	d.grader.grade = always200(grading.Result{Record: record(spent), Source: grading.Shared})
	r := d.post(asked)
	require.Equal(t, 0, decodeGrade(t, r).Usage.Calls)
	require.Equal(t, "shared", r.Header.Get("X-Cache"))
}

func TestDetailIsAppliedOnTheWayOut(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.grader.find = func(grading.Key) (*grading.Record, error) { return record(judge.Usage{}), nil }
	withDetail := func(detail string) string {
		return strings.TrimSuffix(asked, "}") + `,"detail":"` + detail + `"}`
	}
	for detail, starter := range map[string]bool{"nudge": false, "hint": false, "full": true} {
		for door, r := range map[string]reply{
			"POST": d.post(withDetail(detail)),
			"GET":  d.get("/v1/grades/" + someGrade + "?detail=" + detail),
		} {
			g := decodeGrade(t, r)
			require.Equal(t, starter, g.Feedback.Improvements[0].Starter != "", "%s %s", door, detail)
			require.Equal(t, someGrade, *g.ID, "the id does not depend on detail")
			require.InDelta(t, 72.5, *g.Score, 0)
		}
	}
	full := d.get("/v1/grades/" + someGrade)
	require.Equal(t, string(record(judge.Usage{}).JSON()), string(full.body))
}

func TestUnchangedGradeIsNotSentAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	kept := record(judge.Usage{})
	d.grader.find = func(grading.Key) (*grading.Record, error) { return kept, nil }
	const path = "/v1/grades/" + someGrade
	tags := map[string]string{}
	for _, detail := range []string{"nudge", "hint", "full"} {
		first := d.get(path + "?detail=" + detail)
		tag := first.Header.Get("ETag")
		require.NotEmpty(t, tag)
		require.NotContains(t, tags, tag, "each detail is another representation")
		tags[tag] = detail
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			again := d.send(method, path+"?detail="+detail, "", "If-None-Match: "+tag)
			require.Equal(t, http.StatusNotModified, again.StatusCode, method)
			require.Empty(t, again.body)
			require.Equal(t, tag, again.Header.Get("ETag"))
			require.Equal(t, "no-store", again.Header.Get("Cache-Control"), "no cache on the way keeps an answer's words")
		}
	}
	before := d.get(path).Header.Get("ETag")
	require.Equal(t, "full", tags[before], "full is the default")

	grade, err := kept.Grade()
	require.NoError(t, err)
	fresh := *grade
	fresh.Feedback.Summary = "Graded again."
	kept, err = grading.NewRecord(fresh, true, nil)
	require.NoError(t, err)
	replaced := d.get(path, "If-None-Match: "+before)
	require.Equal(t, http.StatusOK, replaced.StatusCode, "a fresh grade under the same id is news")
	require.NotEqual(t, before, replaced.Header.Get("ETag"))
}

func TestOptionsReachTheGrader(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.post(`{"question_id":"platform/on-call","answer":"x","judge":"model","fallback":"lexical"}`, "Cache-Control: max-age=0, No-Cache")
	got := d.grader.last(t)
	require.Equal(t, "model", got.Judge)
	require.True(t, got.Fallback)
	require.True(t, got.Fresh)
}

func TestBlankAnswerIsGraded(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, answer := range []string{``, ` \n `, `\u0000`} {
		r := d.post(`{"question_id":"platform/on-call","answer":"` + answer + `"}`)
		require.Equal(t, http.StatusOK, r.StatusCode, "%s", r.body)
	}
	require.Equal(t, 3, d.grader.calls())
}

func TestLongestAnswerIsGradedHoweverItIsEscaped(t *testing.T) {
	t.Parallel()
	d := open(t)
	for name, letter := range map[string]string{"ascii": "a", "emoji": "😀", "escaped emoji": `\ud83d\ude00`} {
		r := d.post(`{"question_id":"platform/on-call","answer":"` + strings.Repeat(letter, api.MaxAnswer) + `"}`)
		require.Equal(t, http.StatusOK, r.StatusCode, "%s: %s", name, r.body)
	}
}

func TestInlineQuestionIsGraded(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.post(`{"answer":"x","question":{"question":"Why?","criteria":[{"id":"a","statement":"Says why."},{"id":"b","statement":"Says how.","weight":3,"kind":"bonus"}]}}`)
	require.Equal(t, http.StatusOK, r.StatusCode, "%s", r.body)
	q := d.grader.last(t).Question
	require.True(t, strings.HasPrefix(q.Ref, "inline/"))
	require.Equal(t, "Why?", q.Text)
	require.Len(t, q.Criteria, 2)
	require.InDelta(t, 100, q.Criteria[0].Weight, 0)
}

func TestOptionalFieldsMayBeNull(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.post(`{"question_id":"platform/on-call","question":null,"answer":"x","judge":null,"detail":null,"fallback":null}`)
	require.Equal(t, http.StatusOK, r.StatusCode, "%s", r.body)
}

func TestGradeIsForgotten(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.send(http.MethodDelete, "/v1/grades/"+someGrade, "")
	require.Equal(t, http.StatusNoContent, r.StatusCode)
	require.Empty(t, r.body)
	require.Equal(t, []grading.Key{{Tenant: "local", ID: someGrade}}, d.grader.forgotten)
}

func TestOnlyGradeIDsAreLookedUp(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.grader.find = func(grading.Key) (*grading.Record, error) {
		t.Error("looked up")
		return nil, grading.ErrNotFound
	}
	for _, id := range []string{"1", "gr_", "gr_A", "gr_*", "gr_%0a", "gr_" + strings.Repeat("a", 80)} {
		require.Equal(t, http.StatusNotFound, d.get("/v1/grades/"+id).StatusCode, id)
		require.Equal(t, http.StatusNoContent, d.send(http.MethodDelete, "/v1/grades/"+id, "").StatusCode, id)
	}
	require.Empty(t, d.grader.forgotten)
}

// always200 is a grader that always gives the same result.
func always200(result grading.Result) func(context.Context, grading.Request) (grading.Result, error) {
	return func(context.Context, grading.Request) (grading.Result, error) { return result, nil }
}

func decodeGrade(t *testing.T, r reply) *api.Grade {
	t.Helper()
	require.Equal(t, http.StatusOK, r.StatusCode, "%s", r.body)
	var g api.Grade
	require.NoError(t, json.Unmarshal(r.body, &g))
	return &g
}
