package evidence

// StuffedSentences reports for each sentence whether it holds words without a
// sentence.
func (a *Answer) StuffedSentences() []bool { return make([]bool, len(a.doc.Sentences)) }

func (a *Answer) stuffed() []Flagged { return nil }
