package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/strict"
)

// secret stands in every bad request below and must never come back.
const secret = "MY-PRIVATE-ANSWER"

// badRequests is every way a request to grade can be wrong.
var badRequests = []struct {
	name    string
	body    string
	headers []string
	status  int
	pointer string // of the first fault
}{
	{name: "the body is empty", body: "", headers: []string{"Content-Type: application/json"}, status: 400},
	{name: "the body is white space", body: " \n ", status: 400},
	{name: "the body is not JSON", body: `answer=` + secret, status: 400},
	{name: "the body is cut short", body: `{"answer":"` + secret, status: 400, pointer: "/answer"},
	{name: "a value is not JSON", body: `{"answer":` + secret + `}`, status: 400, pointer: "/answer"},
	{name: "a comma is missing", body: `{"answer":"` + secret + `" "judge":"auto"}`, status: 400},
	{name: "data follows the value", body: `{"question_id":"platform/on-call","answer":"` + secret + `"} {"answer":"` + secret + `"}`, status: 400},
	{name: "garbage follows the value", body: `{"question_id":"platform/on-call","answer":"x"} ` + secret, status: 400},
	{name: "the answer is given twice", body: `{"question_id":"platform/on-call","answer":"x","answer":"` + secret + `"}`, status: 400, pointer: "/answer"},
	{name: "a criterion has a key twice", body: `{"answer":"x","question":{"question":"q","criteria":[{"id":"a","id":"` + secret + `","statement":"s"}]}}`, status: 400, pointer: "/question/criteria/0/id"},
	{name: "the answer is not UTF-8", body: `{"question_id":"platform/on-call","answer":"` + secret + "\xff" + `"}`, status: 400, pointer: "/answer"},
	{name: "the answer has half a surrogate pair", body: `{"question_id":"platform/on-call","answer":"` + secret + `\ud83d"}`, status: 400, pointer: "/answer"},
	{name: "a key is not UTF-8", body: "{\"\xc3\x28" + secret + "\":1}", status: 400},
	{name: "a byte order mark comes first", body: "\ufeff" + `{"answer":"` + secret + `"}`, status: 400},

	{name: "the body is an array", body: `["` + secret + `"]`, status: 422},
	{name: "the body is a string", body: `"` + secret + `"`, status: 422},
	{name: "the body is null", body: `null`, status: 422},
	{name: "a field is unknown", body: `{"question_id":"platform/on-call","answer":"` + secret + `","anwser":"` + secret + `"}`, status: 422, pointer: "/anwser"},
	{name: "a field is in the wrong case", body: `{"question_id":"platform/on-call","Answer":"` + secret + `"}`, status: 422, pointer: "/Answer"},
	{name: "a field of a criterion is unknown", body: `{"answer":"x","question":{"question":"q","criteria":[{"id":"a","statement":"s","points":"` + secret + `"}]}}`, status: 422, pointer: "/question/criteria/0/points"},
	{name: "the name of an unknown field is long", body: `{"` + strings.Repeat("x", 5000) + `":1}`, status: 422},
	{name: "the answer is missing", body: `{"question_id":"platform/on-call"}`, status: 422, pointer: "/answer"},
	{name: "the answer is null", body: `{"question_id":"platform/on-call","answer":null}`, status: 422, pointer: "/answer"},
	{name: "the answer is a number", body: `{"question_id":"platform/on-call","answer":12345678}`, status: 422, pointer: "/answer"},
	{name: "the answer is an object", body: `{"question_id":"platform/on-call","answer":{"text":"` + secret + `"}}`, status: 422, pointer: "/answer"},
	{name: "the answer is one character too long", body: `{"question_id":"platform/on-call","answer":"` + strings.Repeat("é", api.MaxAnswer+1) + `"}`, status: 422, pointer: "/answer"},
	{name: "the question is a string", body: `{"question":"` + secret + `","answer":"x"}`, status: 422, pointer: "/question"},
	{name: "the criteria are an object", body: `{"question":{"question":"q","criteria":{}},"answer":"x"}`, status: 422, pointer: "/question/criteria"},
	{name: "a weight is a string", body: `{"question":{"question":"q","criteria":[{"id":"a","statement":"s","weight":"` + secret + `"}]},"answer":"x"}`, status: 422, pointer: "/question/criteria/0/weight"},
	{name: "a weight is nothing", body: `{"question":{"question":"q","criteria":[{"id":"a","statement":"s","weight":0},{"id":"b"}]},"answer":"x"}`, status: 422, pointer: "/question/criteria/0/weight"},
	{name: "a weight is beyond all numbers", body: `{"question":{"question":"q","criteria":[{"id":"a","statement":"s","weight":1e400}]},"answer":"x"}`, status: 422, pointer: "/question/criteria/0/weight"},
	{name: "arrays are nested very deeply", body: `{"answer":` + strings.Repeat("[", 20_000) + `}`, status: 400},
	{name: "an unknown value is nested very deeply", body: `{"x":` + strings.Repeat(`{"x":`, 20_000), status: 422, pointer: "/x"},

	{name: "no question is named", body: `{"answer":"` + secret + `"}`, status: 422, pointer: "/question_id"},
	{name: "two questions are named", body: `{"question_id":"platform/on-call","question":{"question":"q","criteria":[{"id":"a","statement":"s"}]},"answer":"x"}`, status: 422, pointer: "/question"},
	{name: "the question is unknown", body: `{"question_id":"platform/oncall","answer":"` + secret + `"}`, status: 404, pointer: "/question_id"},
	{name: "the set is unknown", body: `{"question_id":"` + secret + `/x","answer":"` + secret + `"}`, status: 404, pointer: "/question_id"},
	{name: "the judge is unknown", body: `{"question_id":"platform/on-call","answer":"x","judge":"` + secret + `"}`, status: 422, pointer: "/judge"},
	{name: "the fallback is unknown", body: `{"question_id":"platform/on-call","answer":"x","fallback":"` + secret + `"}`, status: 422, pointer: "/fallback"},
	{name: "the detail is unknown", body: `{"question_id":"platform/on-call","answer":"x","detail":"` + secret + `"}`, status: 422, pointer: "/detail"},
	{name: "several things are wrong at once", body: `{"question":{"question":"q","criteria":[{"id":"a"},{"id":"a","statement":"s","weight":-1}]},"answer":"x","judge":"?","detail":"?"}`, status: 422, pointer: "/judge"},
	{name: "a question has no criteria", body: `{"question":{"question":"` + secret + `","criteria":[]},"answer":"x"}`, status: 422, pointer: "/question/criteria"},
	{name: "a question is empty", body: `{"question":{},"answer":"x"}`, status: 422, pointer: "/question/question"},
	{name: "values of a question are off the menu", body: `{"question":{"id":"` + secret + `!","kind":"` + secret + `","question":"q","criteria":[{"id":"\" ` + secret + `","statement":"s","kind":"` + secret + `"},{"id":"b","statement":"s","signal":"` + secret + ` \\\" ` + secret + `"}]},"answer":"x"}`, status: 422, pointer: "/question/id"},
	{name: "a criterion is null", body: `{"question":{"question":"q","criteria":[null]},"answer":"x"}`, status: 422, pointer: "/question/criteria/0/id"},

	{name: "the content type is missing", body: asked, headers: []string{"Content-Type: "}, status: 415},
	{name: "the content type is a form", body: asked, headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 415},
	{name: "the content type is not one", body: asked, headers: []string{"Content-Type: ;;;"}, status: 415},
	{name: "the charset is not UTF-8", body: asked, headers: []string{"Content-Type: application/json; charset=latin1"}, status: 415},
	{name: "the body is compressed", body: asked, headers: []string{"Content-Encoding: gzip"}, status: 415},
	{name: "the body is one byte too large", body: strings.Repeat(" ", api.MaxBody+1), status: 413},
}

func TestBadRequestsAreRefusedWithAPointer(t *testing.T) {
	t.Parallel()
	for _, tt := range badRequests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			r := d.post(tt.body, tt.headers...)
			require.Equal(t, tt.status, r.StatusCode, "%s", r.body)
			require.Zero(t, d.grader.calls(), "graded nevertheless")
			p := problem(t, r)
			if tt.status == 400 || tt.status == 422 || tt.status == 404 {
				require.NotEmpty(t, p.Errors)
				require.Equal(t, tt.pointer, p.Errors[0].Pointer)
			}
			require.NotContains(t, string(r.body), secret)
			require.NotContains(t, d.log.String(), secret)
			golden(t, "problems/"+strings.ReplaceAll(tt.name, " ", "-")+".json", indented(t, r.body))
		})
	}
}

// problem checks everything that all problems have in common.
func problem(t *testing.T, r reply) api.Problem {
	t.Helper()
	require.Equal(t, api.ProblemMedia, r.Header.Get("Content-Type"))
	require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
	var raw map[string]any
	require.NoError(t, json.Unmarshal(r.body, &raw), "%s", r.body)
	for _, member := range []string{"type", "title", "status", "detail", "instance"} {
		require.Contains(t, raw, member)
	}
	var p api.Problem
	require.NoError(t, json.Unmarshal(r.body, &p))
	require.Equal(t, r.StatusCode, p.Status)
	require.Equal(t, "urn:gradus:request:"+r.Header.Get("X-Request-Id"), p.Instance)
	return p
}

func TestContentTypesThatMeanJSON(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, media := range []string{"application/json", "Application/JSON", "application/json;charset=UTF-8", "application/json; charset=utf-8"} {
		require.Equal(t, http.StatusOK, d.post(asked, "Content-Type: "+media).StatusCode, media)
	}
	require.Equal(t, http.StatusOK, d.post(asked, "Content-Encoding: identity").StatusCode)
}

func TestBodyOfExactlyTheLimitIsRead(t *testing.T) {
	t.Parallel()
	d := open(t)
	body := asked + strings.Repeat(" ", api.MaxBody-len(asked))
	require.Equal(t, http.StatusOK, d.post(body).StatusCode)
}

// FuzzDecode claims that whatever is sent, decoding either fails with a client's
// fault that does not repeat long pieces of the input, or yields valid UTF-8.
func FuzzDecode(f *testing.F) {
	for _, tt := range badRequests {
		if len(tt.body) < 10_000 {
			f.Add([]byte(tt.body))
		}
	}
	f.Add([]byte(asked))
	f.Fuzz(func(t *testing.T, body []byte) {
		var req api.GradeRequest
		err := strict.Decode(body, &req, strict.Body, gradeNeeds...)
		if err == nil {
			encoded, err := json.Marshal(req)
			require.NoError(t, err)
			var again api.GradeRequest
			require.NoError(t, strict.Decode(encoded, &again, strict.Body, gradeNeeds...), "%s", encoded)
			require.Equal(t, req.Answer, again.Answer)
			return
		}
		failed := classify(causes, refused(err))
		require.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, failed.kind.Status, fmt.Sprint(err))
		require.NotEmpty(t, failed.faults)
		require.Less(t, len(failed.detail), 500)
	})
}
