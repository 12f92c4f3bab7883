package rows_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/rows"
)

// FuzzReader claims of any bytes in any format: what is accepted has an id that
// is valid and unique, a valid answer within its limit, and one question; what
// is refused has a place and a reason, and no piece of an answer in it; and
// reading comes to an end.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"", "\n", `{"id":"a","answer":"x"}`, `{"items":[{"id":"a","answer":"x"},{"id":"a","answer":"y"}],"question_id":"s/q"}`,
		`{"judge":"auto","items":[{"id":"a","question":{"question":"q","criteria":[]},"answer":""}]}x`,
		"id,answer\na,x\nb,\"y\nz\"\n", "\ufeffid;question_id;answer\r\na;s/q;x\r\n", "id\tanswer\na\t\xff", "answer,id\n\"x",
		"\xff\xfe{", `{"id":"a","id":"b"}` + "\n" + `{"id":"\ud83d","answer":null}`,
	} {
		for format := range byte(3) {
			f.Add([]byte(seed), format)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, which byte) {
		format := []rows.Format{rows.JSON, rows.NDJSON, rows.CSV}[which%3]
		r := rows.NewReader(bytes.NewReader(text), format, "")
		seen := map[string]bool{}
		for turn := 0; ; turn++ {
			require.LessOrEqual(t, turn, len(text)+2, "it goes on for ever")
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			var fault *rows.Error
			if errors.As(err, &fault) {
				require.NotEmpty(t, fault.Faults)
				for _, one := range fault.Faults {
					require.NotEmpty(t, one.Detail)
					require.True(t, utf8.ValidString(one.Detail+one.Pointer))
					require.NotContains(t, one.Detail, secret)
					require.Less(t, len(one.Detail)+len(one.Pointer), 500)
					require.True(t, fault.Whole || one.Line > 0 || strings.HasPrefix(one.Pointer, "/items/"), "%+v has no place", one)
				}
				continue
			}
			require.NoError(t, err)
			require.True(t, rows.ValidID(row.Item.ID))
			require.False(t, seen[row.Item.ID], "twice")
			seen[row.Item.ID] = true
			require.True(t, utf8.ValidString(row.Item.Answer))
			require.LessOrEqual(t, utf8.RuneCountInString(row.Item.Answer), api.MaxAnswer)
			require.NotEqual(t, row.Item.QuestionID == "", row.Item.Question == nil, "one question")
		}
		_, err := r.Next()
		require.ErrorIs(t, err, io.EOF, "the end is the end")
	})
}
