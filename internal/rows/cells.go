package rows

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/api"
)

// Columns are those of results in CSV. They may grow at the end.
//
// The lists of criteria hold ids with spaces between them: met and partial core
// and bonus criteria, missed core criteria (contradicted ones too; a bonus not
// earned is not missing), pitfalls that the answer fell into, and criteria that
// could not be assessed. first_fix is what wins the most points next. A cell
// without a value is empty.
var Columns = []string{
	"index", "id", "question_id", "status", "score", "band", "met", "partial", "missed", "pitfalls", "unassessed",
	"flags", "review_reasons", "summary", "first_fix", "first_fix_points", "judge", "model", "cost_usd", "grade_id", "error", "error_detail",
}

// cellsOf is a result in the order of Columns.
func cellsOf(row *api.ResultRow) []string {
	cells := make([]string, 0, len(Columns))
	add := func(values ...string) {
		for _, v := range values {
			cells = append(cells, inert(v))
		}
	}
	grade := row.Grade
	if grade == nil {
		grade = &api.Grade{}
	}
	add(strconv.Itoa(row.Index), row.ID, grade.QuestionID, string(row.Status), decimal(grade.Score, 1))
	band := ""
	if grade.Band != nil {
		band = string(*grade.Band)
	}
	add(band)
	add(verdicts(grade)...)
	add(strings.Join(grade.Integrity.Flags, " "), strings.Join(grade.Review.Reasons, " "), grade.Feedback.Summary)
	fix, points := "", ""
	if len(grade.Feedback.Improvements) > 0 {
		first := grade.Feedback.Improvements[0]
		fix, points = first.Text, decimal(&first.Points, 1)
	}
	id := ""
	if grade.ID != nil {
		id = *grade.ID
	}
	add(fix, points, grade.Provenance.Judge, grade.Provenance.Model, decimal(grade.Usage.CostUSD, -1), id)
	kind, detail := "", ""
	if row.Error != nil {
		kind, detail = row.Error.Type[strings.LastIndexByte(row.Error.Type, '/')+1:], row.Error.Detail
	}
	add(kind, detail)
	return cells
}

// verdicts is the cells from met to unassessed.
func verdicts(grade *api.Grade) []string {
	const met, partial, missed, pitfalls, unassessed = 0, 1, 2, 3, 4
	var ids [5][]string
	put := func(i int, id string) { ids[i] = append(ids[i], id) }
	for i := range grade.Criteria {
		c := &grade.Criteria[i]
		switch {
		case c.Verdict == api.CannotAssess:
			put(unassessed, c.ID)
		case c.Kind == "pitfall":
			if c.Verdict == api.Met || c.Verdict == api.Partial {
				put(pitfalls, c.ID)
			}
		case c.Verdict == api.Met:
			put(met, c.ID)
		case c.Verdict == api.Partial:
			put(partial, c.ID)
		case c.Kind == "core":
			put(missed, c.ID)
		}
	}
	cells := make([]string, len(ids))
	for i := range ids {
		cells[i] = strings.Join(ids[i], " ")
	}
	return cells
}

func decimal(v *float64, digits int) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', digits, 64)
}

// formula are the characters with which a formula may begin, the full-width ones
// in some languages.
const formula = "=+-@\t\r\x00＝＋－＠"

// inert keeps a spreadsheet from reading a cell as a formula (OWASP, CSV
// injection): a single quote in front makes it text.
func inert(cell string) string {
	if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune(formula, first) {
		return "'" + cell
	}
	return cell
}
