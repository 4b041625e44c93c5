"""What a person looks at. Imports images and what lies below."""
