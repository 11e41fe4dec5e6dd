/* event.h - the fields of an email event and of the activity made of it, by index, as in
 * schemas/email-event.avsc and schemas/email-activity.avsc. */
#ifndef TIDEWAY_EVENT_H
#define TIDEWAY_EVENT_H

enum event_field {
	EVENT_F_KIND,
	EVENT_F_ID,
	EVENT_F_INSTANCE,
	EVENT_F_TIME,
	EVENT_F_CONTACT,
	EVENT_F_BROADLOG,
	EVENT_F_DELIVERY,
	EVENT_F_DELIVERY_LABEL,
	EVENT_F_CAMPAIGN,
	EVENT_F_CAMPAIGN_LABEL,
	EVENT_F_URL,
	EVENT_F_FAILURE_REASON,
	EVENT_F_FILE,
	EVENT_F_LINE,
	EVENT_F_OBSERVED_AT
};

enum activity_field {
	ACTIVITY_F_ID,
	ACTIVITY_F_EVENT_ID,
	ACTIVITY_F_KIND,
	ACTIVITY_F_TABLE,
	ACTIVITY_F_CONTACT,
	ACTIVITY_F_SUBJECT,
	ACTIVITY_F_TIME,
	ACTIVITY_F_CAMPAIGN,
	ACTIVITY_F_DELIVERY,
	ACTIVITY_F_TRACKING_URL,
	ACTIVITY_F_MIRROR_URL
};

/* The namespace of activity ids: activityid = UUIDv5(this, event_id).  Never change it: the same
 * event would appear twice on every timeline. */
#define EVENT_UUID_NAMESPACE "6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21"

#endif
