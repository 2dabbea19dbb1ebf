"""What a network looks at: class activation maps, feature maps, occlusion. Needs torch."""
