package evidence

// Reading is an answer prepared and inspected against its question. Preparing
// and inspecting is most of what looking at an answer costs without a model, so
// all who look at one share a reading. It is immutable.
type Reading struct {
	Answer    *Answer
	Reference *Reference
	Integrity Integrity
}

// Read prepares and inspects an answer.
func Read(answer string, ref *Reference) *Reading {
	a := Prepare(answer)
	return &Reading{Answer: a, Reference: ref, Integrity: Inspect(a, ref)}
}
