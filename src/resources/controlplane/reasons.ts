/**
 * Why something is not as it should be: the reasons that stand in conditions and Events of a ControlPlane.
 */

/** A field of the spec has a wrong type, is missing, or breaks a limit. */
export const INVALID_SPEC = "InvalidSpec";
/** The e-mail of a user that exists in the Controller was changed. */
export const EMAIL_CHANGED = "EmailChanged";
/** A LoadBalancer Service has no address yet. */
export const ADDRESS_PENDING = "AddressPending";
/** The spec must name an address, since the Service type gives none. */
export const ADDRESS_MISSING = "AddressMissing";
/** The certificate authority in its Secret cannot be used; it is never replaced by the operator. */
export const CA_UNUSABLE = "CertificateAuthorityUnusable";
/** The certificate authority ends soon; it is never replaced by the operator. */
export const CA_ENDS_SOON = "CertificateAuthorityEndsSoon";
/** The new password is not yet proved, so the Port Manager keeps the old one. */
export const PASSWORD_CHANGING = "PasswordChanging";
/** `spec.images.pullSecret` names a Secret that is not there. */
export const PULL_SECRET_MISSING = "PullSecretMissing";
/** The spec has fields that nothing reads. */
export const UNKNOWN_FIELDS = "UnknownFields";
