"""What a person looks at: pictures and pages. Imports engines and drawing, and what lies below."""
